/* Under which parent a lifetime's span will stand, and which lifetimes are kept.

   Twin of agent/engine/parents.py, whose rules hold.  What a span of the application changes is
   there: this finds that there is one, and hands over.

   Whether a lifetime is transparent may be for Python to decide, which may change any of them; so
   what is gone through is held. */

#include "engine.h"

/* Tells the span of the application that was made current; or NULL. */
static PyObject *find_user_span;

/* Take over a reference to a SpanLifetime, or NULL. */
static inline void
set_parent(SpanLifetime *child, SpanLifetime *parent)
{
    Py_XSETREF(child->base.parent, parent);
}

static inline void
set_link(SpanLifetime *child, SpanLifetime *link)
{
    Py_XSETREF(child->link, (PyObject *)link);
}

static inline SpanLifetime *
new_reference(SpanLifetime *span)
{
    return (SpanLifetime *)Py_XNewRef((PyObject *)span);
}

/* What a root is linked to, if that is a lifetime: borrowed, or NULL. */
static inline SpanLifetime *
linked_lifetime(SpanLifetime *span)
{
    bool is_one = span->link != NULL && PyObject_TypeCheck(span->link, SpanLifetime_Type);
    return is_one ? (SpanLifetime *)span->link : NULL;
}

/* Whether it is no span, nor will be. */
static inline bool
is_none_itself(SpanLifetime *span)
{
    return span->fate == DROPPED || lifetime_transparent((Lifetime *)span);
}

/* What is, or may become, a span in place of this one, as a parent or else as a link: new
   references, one of them NULL, or both. */
static void
find_standing(SpanLifetime *ancestor, SpanLifetime **as_parent, SpanLifetime **as_link)
{
    bool linked = false;
    *as_parent = *as_link = NULL;
    ancestor = new_reference(ancestor);
    while (ancestor != NULL) {
        if (!is_none_itself(ancestor)) {
            *(linked ? as_link : as_parent) = ancestor;
            return;
        }
        SpanLifetime *above = ancestor->base.parent;
        if (above == NULL && linked_lifetime(ancestor) != NULL) {
            above = linked_lifetime(ancestor);
            linked = true;
        }
        above = new_reference(above);
        Py_SETREF(ancestor, above);
    }
}

/* Whether a timer was created where an ancestor of its own was: a period, not a descent. */
static bool
is_rearmed(SpanLifetime *child, SpanLifetime *ancestor)
{
    for (; ancestor != NULL; ancestor = ancestor->base.parent) {
        RecordedLifetime *above = &ancestor->base;
        if (above->base.type == engine.timer_handle && above->code == child->base.code &&
            above->lasti == child->base.lasti && above->code != NULL) {
            return true;
        }
    }
    return false;
}

/* Of what it triggers itself, and no callback of a loop does, a task is a loop's main task. */
static inline bool
runs_loops(ResourceType *row)
{
    return row == engine.thread || row == engine.timer || row == engine.executor_job;
}

static inline bool
roots_a_trace(SpanLifetime *child, Lifetime *trigger, SpanLifetime *nearest)
{
    ResourceType *row = child->base.base.type;
    return row->boundary || nearest->base.base.type->container ||
           (row == engine.timer_handle && is_rearmed(child, nearest)) ||
           (row == engine.task && runs_loops(trigger->type));
}

/* The span of the application that was made current since `executing` began: a new reference, or
   NULL. */
static PyObject *
user_span_in(Lifetime *executing)
{
    Pending pending;
    pending_save(&pending);
    PyObject *find = Py_NewRef(find_user_span);
    PyObject *user = PyObject_CallOneArg(find, (PyObject *)executing);
    Py_DECREF(find);
    pending_restore(&pending);
    if (user == Py_None) {
        Py_CLEAR(user);
    }
    return user;
}

static void
adopt_beside(PyObject *user, SpanLifetime *child, Lifetime *trigger, Lifetime *executing,
             SpanLifetime *nearest)
{
    PyObject *adopt = python_function("adopt_beside");
    if (adopt == NULL) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = PyObject_CallFunctionObjArgs(adopt, user, child, trigger, executing,
                                                     nearest == NULL ? Py_None : (PyObject *)nearest,
                                                     NULL);
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

void
parents_adopt(SpanLifetime *child, Lifetime *trigger, Lifetime *executing)
{
    set_parent(child, NULL);
    set_link(child, NULL);
    Py_CLEAR(child->links);
    PyObject *user = LIKELY(find_user_span == NULL) ? NULL : user_span_in(executing);
    SpanLifetime *nearest = new_reference(lifetime_nearest(trigger));
    if (nearest != NULL && is_none_itself(nearest)) {
        SpanLifetime *standing, *link;
        find_standing(nearest, &standing, &link);
        Py_SETREF(nearest, standing);
        set_link(child, link);
    }
    if (UNLIKELY(user != NULL)) {
        adopt_beside(user, child, trigger, executing, nearest);
        Py_DECREF(user);
        Py_XDECREF((PyObject *)nearest);
    }
    else if (nearest == NULL) {
        return;
    }
    else if (roots_a_trace(child, trigger, nearest)) {
        set_link(child, nearest);
    }
    else {
        nearest->children++;
        set_parent(child, nearest);
    }
}

static void
settle_parent(SpanLifetime *child)
{
    SpanLifetime *standing, *link;
    if (!is_none_itself(child->base.parent)) {
        return;
    }
    find_standing(child->base.parent, &standing, &link);
    bool is_root = standing == NULL;
    set_parent(child, standing);
    if (is_root && is_none(child->segments)) {
        set_link(child, link);
    }
    else {
        Py_XDECREF((PyObject *)link);
    }
}

static void
settle_family(SpanLifetime *child)
{
    if (child->base.parent != NULL) {
        settle_parent(child);
    }
    else if (linked_lifetime(child) != NULL) {
        SpanLifetime *standing, *link;
        find_standing(linked_lifetime(child), &standing, &link);
        set_link(child, standing == NULL ? link : standing);
    }
}

static void
keep(PyObject *lifetime)
{
    if (lifetime != NULL && PyObject_TypeCheck(lifetime, SpanLifetime_Type)) {
        ((SpanLifetime *)lifetime)->keep = true;
    }
}

void
parents_keep_family(SpanLifetime *child)
{
    settle_family(child);
    keep(child->base.parent != NULL ? (PyObject *)child->base.parent : child->link);
    if (child->links == NULL || !PyList_Check(child->links)) {
        return;
    }
    for (Py_ssize_t nth = 0; nth < PyList_GET_SIZE(child->links); nth++) {
        PyObject *pair = PyList_GET_ITEM(child->links, nth);
        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) > 0) {
            keep(PyTuple_GET_ITEM(pair, 0));
        }
    }
}

void
parents_forget_family(SpanLifetime *child)
{
    settle_family(child);
    Py_CLEAR(child->links);
}

/* Under a span of the application that is for Python. */
void
parents_make_root(SpanLifetime *child)
{
    SpanLifetime *parent = child->base.parent;
    if (parent == NULL) {
        return;
    }
    PyTypeObject *type = Py_TYPE((PyObject *)parent);
    if (LIKELY(type == SpanLifetime_Type || type == engine.recorder->lifetime)) {
        parent->children--;
        child->base.parent = NULL;
        set_link(child, parent);
        return;
    }
    PyObject *make_root = python_function("make_root");
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = make_root == NULL ? NULL : PyObject_CallOneArg(make_root, (PyObject *)child);
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

/* ---- the same as Python calls it ---------------------------------------------------------- */

static PyObject *
adopt_method(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *child, *trigger, *executing;
    if (!PyArg_ParseTuple(args, "O!O!O!:adopt", SpanLifetime_Type, &child, Lifetime_Type, &trigger,
                          Lifetime_Type, &executing)) {
        return NULL;
    }
    parents_adopt((SpanLifetime *)child, (Lifetime *)trigger, (Lifetime *)executing);
    Py_RETURN_NONE;
}

static PyObject *
standing_for_method(PyObject *Py_UNUSED(module), PyObject *ancestor)
{
    if (ancestor != Py_None && !PyObject_TypeCheck(ancestor, SpanLifetime_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a SpanLifetime or None, not %R", ancestor);
        return NULL;
    }
    SpanLifetime *as_parent, *as_link;
    find_standing(ancestor == Py_None ? NULL : (SpanLifetime *)ancestor, &as_parent, &as_link);
    return Py_BuildValue("NN", as_parent == NULL ? Py_NewRef(Py_None) : (PyObject *)as_parent,
                         as_link == NULL ? Py_NewRef(Py_None) : (PyObject *)as_link);
}

static PyObject *
look_for_user_spans(PyObject *Py_UNUSED(module), PyObject *find)
{
    Py_XSETREF(find_user_span, find == Py_None ? NULL : Py_NewRef(find));
    Py_RETURN_NONE;
}

static PyObject *
on_family(void (*act)(SpanLifetime *), PyObject *child)
{
    if (!PyObject_TypeCheck(child, SpanLifetime_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a SpanLifetime, not %R", child);
        return NULL;
    }
    act((SpanLifetime *)child);
    Py_RETURN_NONE;
}

static PyObject *
keep_family_method(PyObject *Py_UNUSED(module), PyObject *child)
{
    return on_family(parents_keep_family, child);
}

static PyObject *
forget_family_method(PyObject *Py_UNUSED(module), PyObject *child)
{
    return on_family(parents_forget_family, child);
}

static PyMethodDef parents_functions[] = {
    {"adopt", adopt_method, METH_VARARGS,
     "adopt(child, trigger, executing): give a new lifetime its parent, or its link."},
    {"standing_for", standing_for_method, METH_O,
     "What is, or may become, a span in place of this one: as a parent, or else as a link."},
    {"look_for_user_spans", look_for_user_spans, METH_O,
     "Have every new lifetime look for a span of the application; None: there are none."},
    {"keep_family", keep_family_method, METH_O,
     "A kept lifetime has ended: settle its parent, or its link, and keep it."},
    {"forget_family", forget_family_method, METH_O,
     "It will not be exported: keep only the way past it, for what it triggered."},
    {NULL, NULL, 0, NULL},
};

int
parents_add(PyObject *module)
{
    return PyModule_AddFunctions(module, parents_functions);
}
