/* Whether a loop does what asyncio's own do: its class, the classes of its handles, and what the loop
   keeps in itself.

   Asked for every callback; so what is known of a class is remembered with its version, and what a
   loop keeps is read from where it stands. */

#include "instances.h" /* first: what it includes has other needs */

#include "loops.h"

/* ---- what a loop keeps in itself ---- */

typedef enum {
    LOOP_DEBUG,
    LOOP_CLOSED,
    LOOP_READY,
    LOOP_SCHEDULED,
    LOOP_STOPPING,
    LOOP_SELECTOR,
    LOOP_CLOCK_RESOLUTION,
    LOOP_CANCELLED_COUNT,
    LOOP_THREAD,
    LOOP_CALL_SOON, /* these of a loop that has its own */
    LOOP_CALL_AT,
    LOOP_TIME,
    LOOP_PROCESS_EVENTS,
    LOOP_ADD_CALLBACK,
    LOOP_TIMER_HANDLE_CANCELLED,
    LOOP_FIELDS
} LoopField;

static const char *const field_names[LOOP_FIELDS] = {
    [LOOP_DEBUG] = "_debug",         [LOOP_CLOSED] = "_closed",
    [LOOP_READY] = "_ready",         [LOOP_SCHEDULED] = "_scheduled",
    [LOOP_STOPPING] = "_stopping",   [LOOP_SELECTOR] = "_selector",
    [LOOP_CLOCK_RESOLUTION] = "_clock_resolution",
    [LOOP_CANCELLED_COUNT] = "_timer_cancelled_count",
    [LOOP_THREAD] = "_thread_id",
    [LOOP_CALL_SOON] = "_call_soon", [LOOP_CALL_AT] = "call_at",
    [LOOP_TIME] = "time",            [LOOP_PROCESS_EVENTS] = "_process_events",
    [LOOP_ADD_CALLBACK] = "_add_callback",
    [LOOP_TIMER_HANDLE_CANCELLED] = "_timer_handle_cancelled",
};
static PyObject *interned_names[LOOP_FIELDS];

/* What is known of a class of loops, as it was at this version. */
typedef struct {
    PyTypeObject *type; /* borrowed: compared, never read */
    unsigned int version;
    bool regular;
    bool stock_time;
    bool own_call_at;
    bool stock_iteration;
    Py_ssize_t number_of_keys; /* that its instances shared when the places were looked up */
    Py_ssize_t places[LOOP_FIELDS]; /* in the values of an instance; -1: none has it */
} KnownClass;

static KnownClass known_classes[8];

static void
look_up_places(KnownClass *known, PyTypeObject *type)
{
    for (int field = 0; field < LOOP_FIELDS; field++) {
        known->places[field] = place_of_key(type, interned_names[field]);
    }
    known->number_of_keys = shared_keys(type);
}

/* What the loop itself has under this name, whatever its class has: borrowed; NULL if nothing. */
static inline PyObject *
field_of(PyObject *loop, KnownClass *known, LoopField field)
{
    PyObject **values = instance_values(loop);
    if (UNLIKELY(values == NULL)) {
        return instance_look_up(loop, interned_names[field]);
    }
    if (UNLIKELY(known->number_of_keys != shared_keys(Py_TYPE(loop)))) {
        look_up_places(known, Py_TYPE(loop));
    }
    Py_ssize_t place = known->places[field];
    return place < 0 ? NULL : values[place];
}

/* ---- whether classes are as asyncio has them ---- */

/* What must be asyncio's own in a class of loops, for its methods to do what they do. */
static const char *const relied_on[] = {"_call_soon", "_check_closed", "_timer_handle_cancelled",
                                        "get_debug"};
static PyObject *relied_on_functions[Py_ARRAY_LENGTH(relied_on)];
static PyObject *stock_time;

/* What stands in place of asyncio's methods, and does the same: name -> method; or NULL. */
static PyObject *own_methods;

/* What an iteration calls, and asyncio's: NULL before they are told of. */
static const char *const iterated[] = {"_process_events", "_add_callback"};
static PyObject *iterated_functions[Py_ARRAY_LENGTH(iterated)];

/* What asyncio keeps in the instance; a class may have made a property of it. */
static const char *const kept_in_instance[] = {"_ready",  "_scheduled", "_closed",
                                               "_debug",  "_thread_id", "_timer_cancelled_count"};

/* Whether the class has it, and it is `expected`. */
static bool
class_has(PyTypeObject *type, const char *name, PyObject *expected)
{
    PyObject *found = PyObject_GetAttrString((PyObject *)type, name);
    if (found == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(found);
    return found == expected;
}

/* Whether the class has it as asyncio has it, or what stands in its place. */
static bool
class_has_stock(PyTypeObject *type, const char *name, PyObject *stock)
{
    PyObject *own = own_methods == NULL ? NULL : PyDict_GetItemString(own_methods, name);
    return class_has(type, name, stock) || (own != NULL && class_has(type, name, own));
}

static bool
class_is_regular(PyTypeObject *type)
{
    if (type->tp_getattro != PyObject_GenericGetAttr) {
        return false;
    }
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(relied_on); nth++) {
        if (!class_has_stock(type, relied_on[nth], relied_on_functions[nth])) {
            return false;
        }
    }
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(kept_in_instance); nth++) {
        if (!class_has(type, kept_in_instance[nth], NULL)) {
            return false;
        }
    }
    return true;
}

static bool
class_iterates_as_stock(PyTypeObject *type)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(iterated); nth++) {
        if (iterated_functions[nth] == NULL
            || !class_has(type, iterated[nth], iterated_functions[nth])) {
            return false;
        }
    }
    return class_has(type, "_stopping", NULL) && class_has(type, "_selector", NULL)
           && class_has(type, "_clock_resolution", NULL);
}

static KnownClass *
look_at_class(PyTypeObject *type, KnownClass *known)
{
    known->type = NULL;
    bool regular = class_is_regular(type);
    bool has_stock_time = class_has_stock(type, "time", stock_time);
    bool has_own_call_at = own_methods != NULL && class_has(type, "call_at",
                                                            PyDict_GetItemString(own_methods, "call_at"));
    bool iterates = has_stock_time && class_iterates_as_stock(type);
    *known = (KnownClass){.type = type, .version = type->tp_version_tag, .regular = regular,
                          .stock_time = has_stock_time, .own_call_at = has_own_call_at,
                          .stock_iteration = iterates};
    look_up_places(known, type);
    return known;
}

/* A version is 0 if the class has changed since it was looked up last, and unique else. */
static inline KnownClass *
known_class(PyTypeObject *type)
{
    KnownClass *known = &known_classes[((uintptr_t)type >> 4) % Py_ARRAY_LENGTH(known_classes)];
    if (LIKELY(known->type == type && known->version == type->tp_version_tag
               && known->version != 0)) {
        return known;
    }
    return look_at_class(type, known);
}

bool
loop_has_stock_time(PyObject *loop)
{
    return known_class(Py_TYPE(loop))->stock_time;
}

/* A method of one of the four classes of handles, and what stands there while nobody patches it. */
typedef struct {
    PyTypeObject **type;
    const char *name;
    PyObject *function;
} Unpatched;

static Unpatched unpatched[] = {
    {&Handle_Type, "__init__", NULL},       {&Handle_Type, "__new__", NULL},
    {&Handle_Type, "_run", NULL},           {&TimerHandle_Type, "_run", NULL},
    {&TimerHandle_Type, "__init__", NULL},  {&TimerHandle_Type, "__new__", NULL},
    {&TimerHandle_Type, "__lt__", NULL},    {&TimerHandle_Type, "__eq__", NULL},
    {&TimerHandle_Type, "__hash__", NULL},  {&stock_handle, "__init__", NULL},
    {&stock_handle, "_run", NULL},          {&stock_handle, "cancel", NULL},
    {&stock_timer_handle, "__init__", NULL}, {&stock_timer_handle, "__lt__", NULL},
    {&stock_timer_handle, "__eq__", NULL},  {&stock_timer_handle, "__hash__", NULL},
    {&stock_timer_handle, "cancel", NULL},
};

static unsigned int handle_version, timer_version;

static bool
look_at_handles(void)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(unpatched); nth++) {
        if (!class_has(*unpatched[nth].type, unpatched[nth].name, unpatched[nth].function)) {
            return false;
        }
    }
    handle_version = Handle_Type->tp_version_tag;
    timer_version = TimerHandle_Type->tp_version_tag;
    return true;
}

/* Whether nobody has patched a method of ours or of asyncio's handles. */
static inline bool
handles_unpatched(void)
{
    if (LIKELY(Handle_Type->tp_version_tag == handle_version
               && TimerHandle_Type->tp_version_tag == timer_version && handle_version != 0
               && timer_version != 0)) {
        return true;
    }
    return look_at_handles();
}

/* ---- whether a loop is as asyncio has it, here and now ---- */

static inline bool
is_plain(PyObject *loop, KnownClass *known)
{
    return LIKELY(known->regular) && handles_unpatched()
           && LIKELY(field_of(loop, known, LOOP_DEBUG) == Py_False);
}

bool
loop_is_plain(PyObject *loop)
{
    return is_plain(loop, known_class(Py_TYPE(loop)));
}

PyObject *
regular_loop_queue(PyObject *loop)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    if (UNLIKELY(!is_plain(loop, known) || field_of(loop, known, LOOP_CLOSED) != Py_False
                 || field_of(loop, known, LOOP_CALL_SOON) != NULL)) {
        return NULL;
    }
    return field_of(loop, known, LOOP_READY);
}

PyObject *
loop_queue(PyObject *loop)
{
    return field_of(loop, known_class(Py_TYPE(loop)), LOOP_READY);
}

PyObject *
plain_loop_queue(PyObject *loop)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    return is_plain(loop, known) ? field_of(loop, known, LOOP_READY) : NULL;
}

PyObject *
regular_loop_heap(PyObject *loop)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    if (UNLIKELY(!is_plain(loop, known) || field_of(loop, known, LOOP_CLOSED) != Py_False)) {
        return NULL;
    }
    return field_of(loop, known, LOOP_SCHEDULED);
}

bool
loop_iterates_as_stock(PyObject *loop, Iteration *iteration)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    if (UNLIKELY(!known->stock_iteration || !is_plain(loop, known)
                 || field_of(loop, known, LOOP_CLOSED) != Py_False
                 || field_of(loop, known, LOOP_TIME) != NULL
                 || field_of(loop, known, LOOP_PROCESS_EVENTS) != NULL
                 || field_of(loop, known, LOOP_ADD_CALLBACK) != NULL)) {
        return false;
    }
    *iteration = (Iteration){
        .ready = field_of(loop, known, LOOP_READY),
        .scheduled = field_of(loop, known, LOOP_SCHEDULED),
        .stopping = field_of(loop, known, LOOP_STOPPING),
        .selector = field_of(loop, known, LOOP_SELECTOR),
        .clock_resolution = field_of(loop, known, LOOP_CLOCK_RESOLUTION),
        .cancelled_count = field_of(loop, known, LOOP_CANCELLED_COUNT),
    };
    return true;
}

bool
loop_counts_cancelled(PyObject *loop, long more)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    if (UNLIKELY(!known->regular
                 || field_of(loop, known, LOOP_TIMER_HANDLE_CANCELLED) != NULL)) {
        return false;
    }
    PyObject **values = instance_values(loop);
    PyObject *count = field_of(loop, known, LOOP_CANCELLED_COUNT);
    if (UNLIKELY(values == NULL || count == NULL || !PyLong_CheckExact(count))) {
        return false;
    }
    long before = PyLong_AsLong(count);
    PyObject *after = before == -1 && PyErr_Occurred() ? NULL : PyLong_FromLong(before + more);
    if (UNLIKELY(after == NULL)) {
        PyErr_Clear();
        return false;
    }
    Py_SETREF(values[known->places[LOOP_CANCELLED_COUNT]], after);
    return true;
}

PyObject *
regular_loop_debug(PyObject *loop)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    return known->regular ? field_of(loop, known, LOOP_DEBUG) : NULL;
}

PyObject *
regular_loop_thread(PyObject *loop)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    return known->regular ? field_of(loop, known, LOOP_THREAD) : NULL;
}

bool
loop_calls_own_call_at(PyObject *loop)
{
    KnownClass *known = known_class(Py_TYPE(loop));
    return known->own_call_at && field_of(loop, known, LOOP_CALL_AT) == NULL;
}

/* ---- what asyncio has ---- */

static int
intern_field_names(void)
{
    for (int field = 0; field < LOOP_FIELDS; field++) {
        interned_names[field] = PyUnicode_InternFromString(field_names[field]);
        if (interned_names[field] == NULL) {
            return -1;
        }
    }
    return 0;
}

int
regular_loops_know(PyTypeObject *base_event_loop)
{
    PyObject *loop = (PyObject *)base_event_loop;
    if (intern_field_names() < 0) {
        return -1;
    }
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(relied_on); nth++) {
        relied_on_functions[nth] = PyObject_GetAttrString(loop, relied_on[nth]);
        if (relied_on_functions[nth] == NULL) {
            return -1;
        }
    }
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(unpatched); nth++) {
        PyObject *type = (PyObject *)*unpatched[nth].type;
        unpatched[nth].function = PyObject_GetAttrString(type, unpatched[nth].name);
        if (unpatched[nth].function == NULL) {
            return -1;
        }
    }
    stock_time = PyObject_GetAttrString(loop, "time");
    return stock_time == NULL ? -1 : 0;
}

int
regular_loops_know_iteration(PyTypeObject *selector_event_loop)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(iterated); nth++) {
        iterated_functions[nth] = PyObject_GetAttrString((PyObject *)selector_event_loop,
                                                         iterated[nth]);
        if (iterated_functions[nth] == NULL) {
            return -1;
        }
    }
    /* Of what is known already it is not known. */
    memset(known_classes, 0, sizeof known_classes);
    return 0;
}

void
regular_loops_own(PyObject *methods)
{
    own_methods = Py_XNewRef(methods);
}
