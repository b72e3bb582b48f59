/* The end of what nobody ends: a resource is collected, and its destroy is told later.

   Twin of the part of agent/engine/events.py that has to do with the collector.

   - A resource holds a Token, and nothing else does: it dies with it, and its lifetime is queued.
   - What is collected is told on a later turn (SEMANTICS 8.2): queueing runs no code of anybody's,
     for it happens wherever something is dropped.
   - Several threads may drain the queue at once, each telling what it has taken. */

#include "engine.h"
#include "structmember.h"

PyTypeObject *Token_Type;

bool collected_waits;

/* ---- what waits for the next event -------------------------------------------------------- */

/* Objects, first in first out, each with a reference. */
typedef struct {
    PyObject **items; /* `capacity` of them, a power of 2, or NULL */
    size_t capacity;
    size_t first;
    size_t number;
} Queue;

#define SMALLEST_QUEUE 64
#define LARGEST_KEPT 4096

static Queue collected; /* Lifetimes whose resource was collected before its destroy */
static Queue calls;     /* what `at_next_event` was given */

static bool
queue_grow(Queue *queue)
{
    size_t capacity = queue->capacity == 0 ? SMALLEST_QUEUE : queue->capacity * 2;
    PyObject **items = PyMem_RawMalloc(capacity * sizeof(PyObject *));
    if (items == NULL) {
        return false;
    }
    for (size_t nth = 0; nth < queue->number; nth++) {
        items[nth] = queue->items[(queue->first + nth) & (queue->capacity - 1)];
    }
    PyMem_RawFree(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
    return true;
}

/* Add one; without memory, nothing.  Runs no code but the allocator's. */
static void
queue_append(Queue *queue, PyObject *item)
{
    if (queue->number == queue->capacity && !queue_grow(queue)) {
        return;
    }
    queue->items[(queue->first + queue->number++) & (queue->capacity - 1)] = Py_NewRef(item);
    collected_waits = true;
}

/* The first one, with its reference; NULL if there is none. */
static PyObject *
queue_take(Queue *queue)
{
    if (queue->number == 0) {
        return NULL;
    }
    PyObject *item = queue->items[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->number--;
    if (queue->number == 0 && queue->capacity > LARGEST_KEPT) {
        PyMem_RawFree(queue->items);
        memset(queue, 0, sizeof(*queue));
    }
    collected_waits = collected.number > 0 || calls.number > 0;
    return item;
}

static void
queue_clear(Queue *queue)
{
    for (size_t most = queue->number; most > 0; most--) {
        Py_XDECREF(queue_take(queue));
    }
}

/* Call what `at_next_event` was given, which raises nothing. */
static void
call_waiting(void)
{
    for (size_t most = calls.number; most > 0 && calls.number > 0; most--) {
        PyObject *callback = queue_take(&calls);
        PyObject *nothing = PyObject_CallNoArgs(callback);
        if (nothing == NULL) {
            exception_dropped();
        }
        Py_XDECREF(nothing);
        Py_DECREF(callback);
    }
}

static void
tell_collected(ThreadState *state, Lifetime *lifetime)
{
    if (!lifetime->open) {
        return;
    }
    lifetime->open = false;
    lifetime->type->leaked++;
    if (is_recorded(lifetime)) {
        recorder_finish((RecordedLifetime *)lifetime, COLLECTED, clock_now());
    }
    if (lifetime->notify) {
        emit(state, engine.listeners->destroy, lifetime->async_id);
    }
}

/* With execution id 0 (SEMANTICS 8.5).  What a destroy callback makes and drops itself is for the
   next time, or it would never end. */
void
drain_collected(ThreadState *state)
{
    Pending pending;
    pending_save(&pending);
    /* A forked child forgets it, wherever it was forked. */
    Py_INCREF((PyObject *)state);
    Lifetime *previous = execution_swap(state, engine.outside);
    for (size_t most = collected.number; most > 0 && collected.number > 0; most--) {
        Lifetime *lifetime = (Lifetime *)queue_take(&collected);
        tell_collected(state, lifetime);
        Py_DECREF((PyObject *)lifetime);
    }
    execution_restore(state, previous);
    Py_DECREF((PyObject *)state);
    call_waiting();
    pending_restore(&pending);
}

void
lifetime_dropped(Lifetime *lifetime)
{
    if (engine.listeners->destroy != NULL || is_recorded(lifetime)) {
        queue_append(&collected, (PyObject *)lifetime);
    }
    else {
        lifetime->open = false;
    }
}

/* Where no loop turns, deliver them at an event that is outside the collector: Python knows. */
void
drain_between_turns(ThreadState *state)
{
    PyObject *drain = state->depth > 0 ? NULL : python_function("drain_between_turns");
    if (drain == NULL) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = PyObject_CallOneArg(drain, (PyObject *)state);
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

/* ---- Token -------------------------------------------------------------------------------- */

PyObject *
token_new(Lifetime *lifetime)
{
    Token *token = PyObject_New(Token, Token_Type);
    if (token == NULL) {
        PyErr_Clear();
        return NULL;
    }
    token->lifetime = (Lifetime *)Py_NewRef((PyObject *)lifetime);
    return (PyObject *)token;
}

static PyObject *
token_construct(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *keywords)
{
    static char *names[] = {"lifetime", NULL};
    PyObject *lifetime;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!", names, Lifetime_Type, &lifetime)) {
        return NULL;
    }
    PyObject *token = token_new((Lifetime *)lifetime);
    return token == NULL ? PyErr_NoMemory() : token;
}

static void
token_dealloc(PyObject *self)
{
    Lifetime *lifetime = ((Token *)self)->lifetime;
    if (lifetime->open) {
        lifetime_dropped(lifetime);
    }
    Py_DECREF((PyObject *)lifetime);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMemberDef token_members[] = {
    {"lifetime", T_OBJECT_EX, offsetof(Token, lifetime), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot token_slots[] = {
    {Py_tp_doc, "Held by a resource and by nothing else: it dies with it, and says so."},
    {Py_tp_new, token_construct},
    {Py_tp_dealloc, token_dealloc},
    {Py_tp_members, token_members},
    {0, NULL},
};

static PyType_Spec token_spec = {
    .name = "whence._engine.Token",
    .basicsize = sizeof(Token),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = token_slots,
};

/* ---- as Python sees it ------------------------------------------------------------------- */

static Py_ssize_t
collected_length(PyObject *Py_UNUSED(self))
{
    return (Py_ssize_t)(collected.number + calls.number);
}

static PyObject *
collected_clear(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    queue_clear(&collected);
    queue_clear(&calls);
    Py_RETURN_NONE;
}

/* The lifetimes that wait. */
static PyObject *
collected_iterate(PyObject *Py_UNUSED(self))
{
    PyObject *waiting = PyList_New(0);
    for (size_t nth = 0; waiting != NULL && nth < collected.number; nth++) {
        size_t place = (collected.first + nth) & (collected.capacity - 1);
        if (PyList_Append(waiting, collected.items[place]) < 0) {
            Py_CLEAR(waiting);
        }
    }
    PyObject *iterator = waiting == NULL ? NULL : PyObject_GetIter(waiting);
    Py_XDECREF(waiting);
    return iterator;
}

static PyMethodDef collected_methods[] = {
    {"clear", collected_clear, METH_NOARGS, "Forget what waits."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot collected_slots[] = {
    {Py_tp_doc, "What was collected, or is to be called, and waits for the next event."},
    {Py_tp_methods, collected_methods},
    {Py_sq_length, collected_length},
    {Py_tp_iter, collected_iterate},
    {0, NULL},
};

static PyType_Spec collected_spec = {
    .name = "whence._engine.Collected",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = collected_slots,
};

static PyObject *
drain_method(PyObject *Py_UNUSED(module), PyObject *state)
{
    if (!PyObject_TypeCheck(state, ThreadState_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a ThreadState, not %R", state);
        return NULL;
    }
    drain_collected((ThreadState *)state);
    Py_RETURN_NONE;
}

static PyObject *
dropped_method(PyObject *Py_UNUSED(module), PyObject *lifetime)
{
    if (!PyObject_TypeCheck(lifetime, Lifetime_Type)) {
        return PyErr_Format(PyExc_TypeError, "expected a Lifetime, not %R", lifetime);
    }
    lifetime_dropped((Lifetime *)lifetime);
    Py_RETURN_NONE;
}

static PyObject *
at_next_event(PyObject *Py_UNUSED(module), PyObject *callback)
{
    queue_append(&calls, callback);
    Py_RETURN_NONE;
}

static PyObject *
forget_collected(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    queue_clear(&calls);
    for (size_t most = collected.number; most > 0 && collected.number > 0; most--) {
        Lifetime *lifetime = (Lifetime *)queue_take(&collected);
        lifetime->open = false;
        if (is_recorded(lifetime)) {
            recorder_finish((RecordedLifetime *)lifetime, COLLECTED, clock_now());
        }
        Py_DECREF((PyObject *)lifetime);
    }
    Py_RETURN_NONE;
}

static PyMethodDef collected_functions[] = {
    {"drain_collected", drain_method, METH_O, "Deliver the destroys of what was collected."},
    {"dropped", dropped_method, METH_O,
     "Its resource is being collected: queue its destroy, if there is anybody to tell."},
    {"at_next_event", at_next_event, METH_O,
     "Call once when the program's next callback begins, in its thread; or another event."},
    {"forget_collected", forget_collected, METH_NOARGS,
     "Tell nobody of what was collected so far: the last hook is gone."},
    {NULL, NULL, 0, NULL},
};

int
collected_add(PyObject *module)
{
    PyTypeObject *type;
    if (add_type(module, &token_spec, NULL, &Token_Type) < 0 ||
        add_type(module, &collected_spec, NULL, &type) < 0) {
        return -1;
    }
    PyObject *waiting = PyObject_CallNoArgs((PyObject *)type);
    int failed = waiting == NULL || PyModule_AddObjectRef(module, "collected", waiting) < 0;
    Py_XDECREF(waiting);
    return failed ? -1 : PyModule_AddFunctions(module, collected_functions);
}
