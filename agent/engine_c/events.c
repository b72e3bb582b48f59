/* The five transitions of a resource's life, as patches and AsyncResource make them.

   Twin of agent/engine/events.py.  Each does, in this order: the ids and the stack, the recording,
   the hooks.

   - What is collected is queued, and told on a later turn (SEMANTICS 8.2): queueing runs no code
     of anybody's, for it happens wherever something is dropped.
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
static void
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

/* ---- the transitions ---------------------------------------------------------------------- */

static Lifetime *
born(ThreadState *state, ResourceType *row, Lifetime *trigger, int skip)
{
    Lifetime *lifetime = lifetime_begin(row, trigger, state, skip);
    if (lifetime != NULL) {
        lifetime->notify = engine.listeners->destroy != NULL;
    }
    return lifetime;
}

Lifetime *
event_create(ThreadState *state, ResourceType *row, PyObject *resource, Lifetime *trigger, int skip)
{
    Lifetime *lifetime = born(state, row, trigger, skip);
    if (lifetime != NULL) {
        emit_init(state, engine.listeners->init, lifetime, resource);
    }
    return lifetime;
}

void
event_enter(ThreadState *state, Lifetime *lifetime, PyObject *resource)
{
    if (UNLIKELY(collected_waits)) {
        drain_between_turns(state);
    }
    Lifetime *previous = execution_swap(state, lifetime);
    if (lifetime->type == engine.task) {
        /* An eager task's first, inside of another's: what it awaits is not the other's. */
        state->steps = false;
    }
    Py_XSETREF(lifetime->resource, Py_XNewRef(resource == Py_None ? NULL : resource));
    if (is_recorded(lifetime)) {
        step_entered(state, (RecordedLifetime *)lifetime, previous);
    }
    Py_DECREF((PyObject *)previous);
    emit(state, engine.listeners->before, lifetime->async_id);
}

void
event_leave(ThreadState *state, Lifetime *lifetime, Lifetime *previous)
{
    Py_INCREF((PyObject *)lifetime);
    Py_INCREF((PyObject *)state);
    emit(state, engine.listeners->after, lifetime->async_id);
    execution_restore(state, (Lifetime *)Py_NewRef((PyObject *)previous));
    if (is_recorded(lifetime)) {
        step_left(state, (RecordedLifetime *)lifetime, previous);
    }
    if (previous != lifetime) {
        Py_CLEAR(lifetime->resource);
    }
    Py_DECREF((PyObject *)state);
    Py_DECREF((PyObject *)lifetime);
}

void
event_resolve(ThreadState *state, Lifetime *lifetime)
{
    emit(state, engine.listeners->promise_resolve, lifetime->async_id);
}

void
event_end(ThreadState *state, Lifetime *lifetime, PyObject *outcome)
{
    if (!lifetime->open) {
        return;
    }
    if (state->finalizing) {
        lifetime->notify = true;
        lifetime_dropped(lifetime);
        return;
    }
    lifetime->open = false;
    if (is_recorded(lifetime)) {
        recorder_finish((RecordedLifetime *)lifetime, outcome, clock_now());
    }
    emit(state, engine.listeners->destroy, lifetime->async_id);
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

/* ---- the queue as Python sees it ---------------------------------------------------------- */

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

/* ---- the transitions as Python calls them ------------------------------------------------- */

/* Whether there are so many arguments, and the first is the state of a thread and the lifetime or
   row after it is of this type. */
static bool
are_fit(const char *function, PyObject *const *args, Py_ssize_t number, Py_ssize_t least,
        Py_ssize_t most, PyTypeObject *second)
{
    if (number < least || number > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", function, least,
                     most, number);
        return false;
    }
    if (!PyObject_TypeCheck(args[0], ThreadState_Type) || !PyObject_TypeCheck(args[1], second)) {
        PyErr_Format(PyExc_TypeError, "%s() expected a ThreadState and a %s, not %R and %R",
                     function, second->tp_name, args[0], args[1]);
        return false;
    }
    return true;
}

static bool
is_lifetime(PyObject *value)
{
    if (PyObject_TypeCheck(value, Lifetime_Type)) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "expected a Lifetime, not %R", value);
    return false;
}

/* Frames of Python's to skip: its callers count their own, and this function has none. */
static bool
skip_from(PyObject *const *args, Py_ssize_t number, Py_ssize_t index, int *skip)
{
    *skip = 0;
    if (number > index) {
        long depth = PyLong_AsLong(args[index]);
        if (depth == -1 && PyErr_Occurred()) {
            return false;
        }
        *skip = (int)depth - 1;
    }
    return true;
}

static PyObject *
lifetime_or_no_memory(Lifetime *lifetime)
{
    return lifetime == NULL ? PyErr_NoMemory() : (PyObject *)lifetime;
}

static PyObject *
create_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    int skip;
    if (!are_fit("create", args, number, 4, 5, ResourceType_Type) || !is_lifetime(args[3]) ||
        !skip_from(args, number, 4, &skip)) {
        return NULL;
    }
    return lifetime_or_no_memory(event_create((ThreadState *)args[0], (ResourceType *)args[1],
                                              args[2], (Lifetime *)args[3], skip));
}

static PyObject *
born_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    int skip;
    if (!are_fit("born", args, number, 3, 4, ResourceType_Type) || !is_lifetime(args[2]) ||
        !skip_from(args, number, 3, &skip)) {
        return NULL;
    }
    return lifetime_or_no_memory(
        born((ThreadState *)args[0], (ResourceType *)args[1], (Lifetime *)args[2], skip));
}

static PyObject *
announce_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("announce", args, number, 3, 3, Lifetime_Type)) {
        return NULL;
    }
    emit_init((ThreadState *)args[0], engine.listeners->init, (Lifetime *)args[1], args[2]);
    Py_RETURN_NONE;
}

static PyObject *
enter_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("enter", args, number, 3, 3, Lifetime_Type)) {
        return NULL;
    }
    event_enter((ThreadState *)args[0], (Lifetime *)args[1], args[2]);
    Py_RETURN_NONE;
}

static PyObject *
leave_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("leave", args, number, 3, 3, Lifetime_Type) || !is_lifetime(args[2])) {
        return NULL;
    }
    event_leave((ThreadState *)args[0], (Lifetime *)args[1], (Lifetime *)args[2]);
    Py_RETURN_NONE;
}

static PyObject *
resolve_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("resolve", args, number, 2, 2, Lifetime_Type)) {
        return NULL;
    }
    event_resolve((ThreadState *)args[0], (Lifetime *)args[1]);
    Py_RETURN_NONE;
}

static PyObject *
end_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("end", args, number, 2, 3, Lifetime_Type)) {
        return NULL;
    }
    event_end((ThreadState *)args[0], (Lifetime *)args[1], number > 2 ? args[2] : DONE);
    Py_RETURN_NONE;
}

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
    if (!is_lifetime(lifetime)) {
        return NULL;
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

#define FASTCALL(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL

static PyMethodDef events_functions[] = {
    {"create", FASTCALL(create_method), "create(state, row, resource, trigger, depth=1): init."},
    {"born", FASTCALL(born_method),
     "born(state, row, trigger, depth=1): what `create` does before it tells the hooks."},
    {"announce", FASTCALL(announce_method), "announce(state, lifetime, resource): tell the hooks."},
    {"enter", FASTCALL(enter_method), "enter(state, lifetime, resource): before."},
    {"leave", FASTCALL(leave_method), "leave(state, lifetime, previous): after."},
    {"resolve", FASTCALL(resolve_method), "resolve(state, lifetime): promise_resolve."},
    {"end", FASTCALL(end_method), "end(state, lifetime, outcome=DONE): destroy, exactly once."},
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
events_add(PyObject *module)
{
    PyTypeObject *type;
    if (add_type(module, &token_spec, NULL, &Token_Type) < 0 ||
        add_type(module, &collected_spec, NULL, &type) < 0) {
        return -1;
    }
    PyObject *waiting = PyObject_CallNoArgs((PyObject *)type);
    int failed = waiting == NULL || PyModule_AddObjectRef(module, "collected", waiting) < 0;
    Py_XDECREF(waiting);
    return failed ? -1 : PyModule_AddFunctions(module, events_functions);
}
