/* The engine in C: what runs for every event, as agent/engine/ says it in Python.

   Each file here is the twin of the Python file of the same name, or of the one that it names, and
   does the same, for speed and for nothing else.  What is cold stays in Python and works on the types that are defined here;
   what is hot calls it where it has something rare to do.

   The rules:

   - Every function runs with the GIL held, but where it says otherwise.
   - All state is in `engine`, or static in one file: the main interpreter only, loaded once.
   - A pending exception of the program's is never lost: who calls Python where one may be pending
     saves and restores it.
   - A failure of ours is never raised into the program: where memory has run out, the event is lost.
   - The program's objects may run any code when they are dropped, hashed, compared or shown; so a
     field is emptied before its old value is released (Py_SETREF), and nothing is trusted to be as
     it was before such a call.
*/

#ifndef WHENCE_ENGINE_H
#define WHENCE_ENGINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030E0000
#error "whence._engine knows the structures of CPython 3.11, 3.12 and 3.13"
#endif
#ifdef Py_GIL_DISABLED
#error "whence._engine is written for the GIL"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define LIKELY(condition) (condition)
#define UNLIKELY(condition) (condition)
#endif

/* Fetch an object of the collector's that is looked at soon, and what that keeps before it: those
   of a batch lie anywhere in memory. */
static inline void
prefetch_object(const void *object, size_t size)
{
#if defined(__GNUC__) || defined(__clang__)
    const char *end = (const char *)object + size;
    for (const char *line = (const char *)object - 2 * sizeof(void *); line < end; line += 64) {
        __builtin_prefetch(line);
    }
    __builtin_prefetch(end - 1);
#else
    (void)object, (void)size;
#endif
}

/* ---- histograms.c ------------------------------------------------------------------------- */

#define SLOTS 64
#define LONG_SLOT 24
#define LONG_NANOSECONDS ((1LL << (LONG_SLOT - 1)) - 1)

/* What callbacks have had: how long they were ready before their turn, and how long it was. */
typedef struct {
    PyObject_HEAD
    int64_t counts[SLOTS][SLOTS];
    int64_t long_ready[SLOTS];
    int64_t long_run[SLOTS];
} Turns;

extern PyTypeObject *Turns_Type;

/* Add the ready and run times of a turn that is counted to the sums of their slots, if they are
   longer than LONG_NANOSECONDS. */
void turns_record_long(Turns *turns, int64_t ready, int64_t run);

/* The slot of a duration: the number of its binary digits. */
static inline int
slot_of(int64_t nanoseconds)
{
#if defined(__GNUC__) || defined(__clang__)
    return nanoseconds > 0 ? 64 - __builtin_clzll((unsigned long long)nanoseconds) : 0;
#else
    int digits = 0;
    for (; nanoseconds > 0; nanoseconds >>= 1) {
        digits++;
    }
    return digits;
#endif
}

/* ---- resource_types.c --------------------------------------------------------------------- */

/* One type of resource: a row of the table in resource_types.py, which makes all of them. */
typedef struct {
    PyObject_HEAD
    PyObject *name;
    int64_t number;
    int64_t created;
    int64_t destroyed;
    int64_t leaked;
    PyObject *otherwise; /* a dict: outcome -> number */
    Turns *turns;
    PyObject *queue; /* a Histogram, or None */
    bool transparent;
    bool spans;
    bool boundary;
    bool container;
    bool once;
    bool on_loop;
} ResourceType;

extern PyTypeObject *ResourceType_Type;

/* Count one that was destroyed with this outcome; never fails. */
void resource_type_destroyed(ResourceType *row, PyObject *outcome);

/* ---- causes.c ----------------------------------------------------------------------------- */

/* One hop of a chain of causes; refers to nothing of the program but code. */
typedef struct Cause {
    PyObject_HEAD
    int64_t async_id;
    ResourceType *type;
    PyObject *name; /* a str, or None */
    PyObject *code; /* a code object, or None */
    int lasti;
    int depth;
    int64_t repeats;
    struct Cause *cause; /* or NULL */
} Cause;

extern PyTypeObject *Cause_Type;

/* A cause that follows on another, which may be NULL: a new reference, NULL without memory (and no
   exception set). */
Cause *cause_hop(int64_t async_id, ResourceType *type, PyObject *name, PyObject *code, int lasti,
                 Cause *before);

/* ---- lifetimes.c -------------------------------------------------------------------------- */

/* One resource, as events need it.  Object fields are owned; NULL reads as None, but `resource` as
   an attribute that is not there only where Python's does. */
typedef struct {
    PyObject_HEAD
    int64_t async_id;
    int64_t trigger_async_id;
    int64_t created; /* 0 if it is not recorded, and then it is no RecordedLifetime */
    ResourceType *type;
    PyObject *resource; /* while its callback is on the stack */
    PyObject *scope;
    bool open;
    bool notify;
} Lifetime;

/* Values of `transparency`.  The last two only in a SelectedLifetime. */
enum { NOT_TRANSPARENT = 0, TRANSPARENT = 1, LEFT_OUT = 2, UNDECIDED = 3 };

typedef struct RecordedLifetime {
    Lifetime base;
    int64_t scheduled;
    int64_t entered;
    int64_t run;
    int64_t ready;
    int64_t steps;
    PyObject *code; /* or NULL */
    int lasti;
    uint8_t transparency;
    Cause *cause;                /* or NULL */
    Cause *own_cause;            /* or NULL */
    struct SpanLifetime *parent; /* or NULL */
    PyObject *error;             /* (type, message), or NULL */
    struct RecordedLifetime *older, *newer; /* among the open ones; both borrowed */
    bool listed;                            /* it is in that list, which owns a reference */
} RecordedLifetime;

typedef struct SpanLifetime {
    RecordedLifetime base;
    int64_t children;
    int64_t ended;
    int64_t execution_async_id;
    uint64_t thread_id;
    PyObject *name;
    PyObject *attributes;
    PyObject *events;
    PyObject *segments;
    PyObject *span;
    PyObject *link;
    PyObject *links;
    PyObject *spliced;
    PyObject *fate;    /* KEPT, DROPPED or NULL */
    PyObject *outcome; /* or NULL */
    bool keep;
    bool fire_and_forget;
} SpanLifetime;

extern PyTypeObject *Lifetime_Type, *RecordedLifetime_Type, *SpanLifetime_Type;

/* The strings that Python's lifetimes.py names; compared by identity. */
extern PyObject *DONE, *FAILED, *CANCELLED, *CLOSED, *COLLECTED, *OPEN, *KEPT, *DROPPED;

/* New ones, with every field empty or 0; NULL without memory, with no exception set.  Those of
   ours come from a free list.  A span is of `engine.recorder->lifetime`: SpanLifetime, or a class
   derived from it, and then it is UNDECIDED. */
Lifetime *lifetime_new(void);
RecordedLifetime *recorded_lifetime_new(void);
SpanLifetime *span_lifetime_new(void);

/* Exact for all that the engine makes. */
static inline bool
is_recorded(Lifetime *lifetime)
{
    return lifetime->created != 0;
}

/* Whether it is one that may become a span, by its class. */
static inline bool
is_span(Lifetime *lifetime)
{
    return PyObject_TypeCheck((PyObject *)lifetime, SpanLifetime_Type);
}

/* Whether it becomes no span.  The first to ask of a SelectedLifetime has it decided, which calls
   Python; an exception that is pending stays so. */
bool lifetime_transparent(Lifetime *lifetime);

/* Of what is transparent, the nearest ancestor that may become a span; else itself.  Borrowed, or
   NULL. */
SpanLifetime *lifetime_nearest(Lifetime *lifetime);

/* The cause that all it triggers is given: borrowed, NULL if nothing is known of it. */
Cause *lifetime_as_cause(Lifetime *lifetime);

/* ---- execution.c -------------------------------------------------------------------------- */

/* What one thread is executing. */
typedef struct {
    PyObject_HEAD
    Lifetime *current; /* owned, never NULL */
    PyObject *making;  /* a MakingHandle, or NULL */
    Lifetime *beyond;  /* owned, or NULL */
    PyObject *lent;    /* a future that passes for one of asyncio's own, or NULL (awaited.c) */
    PyObject *samples; /* tuples, never NULL */
    PyObject *blamed;
    int64_t busy;
    int64_t entered;
    uint64_t thread_id;
    int depth;
    bool changed;
    bool muted;
    bool finalizing;
    bool steps;        /* what runs is the step of a task in C, and not of one inside of it */
    const void *floor; /* the frame that runs the callback: beyond it nothing has created what it
                          creates; compared, never read */
    const void *outermost; /* the floor of the outermost callback, or NULL */
} ThreadState;

extern PyTypeObject *ThreadState_Type;

/* The state of the calling thread: borrowed, alive for as long as the thread.  NULL without memory,
   with no exception set. */
ThreadState *thread_state(void);

/* The next id. */
int64_t new_async_id(void);

/* Make `lifetime` what executes: takes a new reference, gives back the reference to what executed
   before. */
static inline Lifetime *
execution_swap(ThreadState *state, Lifetime *lifetime)
{
    Lifetime *previous = state->current;
    state->current = (Lifetime *)Py_NewRef((PyObject *)lifetime);
    return previous;
}

/* Put back what executed before, with its reference. */
static inline void
execution_restore(ThreadState *state, Lifetime *previous)
{
    Lifetime *gone = state->current;
    state->current = previous;
    Py_DECREF((PyObject *)gone);
}

/* ---- dispatch.c --------------------------------------------------------------------------- */

/* Who hears each event: a callable, or NULL. */
typedef struct {
    PyObject_HEAD
    PyObject *init;
    PyObject *before;
    PyObject *after;
    PyObject *destroy;
    PyObject *promise_resolve;
} Listeners;

extern PyTypeObject *Listeners_Type;

/* Deliver an event to a listener, which may be NULL; a pending exception stays so; never fails. */
void emit_slow(ThreadState *state, PyObject *listener, int64_t async_id);
void emit_init_slow(ThreadState *state, PyObject *listener, Lifetime *lifetime,
                    PyObject *resource);

static inline void
emit(ThreadState *state, PyObject *listener, int64_t async_id)
{
    if (UNLIKELY(listener != NULL)) {
        emit_slow(state, listener, async_id);
    }
}

static inline void
emit_init(ThreadState *state, PyObject *listener, Lifetime *lifetime, PyObject *resource)
{
    if (UNLIKELY(listener != NULL)) {
        emit_init_slow(state, listener, lifetime, resource);
    }
}

/* ---- clock.c ------------------------------------------------------------------------------ */

/* Nanoseconds of the monotonic clock, as `time.monotonic_ns()` has them. */
int64_t clock_now(void);

/* ---- sites.c ------------------------------------------------------------------------------ */

/* Note in `lifetime` where the program's own code is, `skip` Python frames up or further: code and
   instruction, without a frame object.  Where only the loop is running, what `trigger` says. */
void site_note(RecordedLifetime *lifetime, Lifetime *trigger, ThreadState *state, int skip);

/* Whether the code in this file is the loop's or whence's, and not the program's. */
bool site_is_plumbing(PyObject *file);

/* Who runs a callback with no frame of its own says where the callback begins, and where it has
   ended, with what the first has given. */
const void *floor_enter(ThreadState *state);
void floor_leave(ThreadState *state, const void *before);

/* ---- open_lifetimes.c --------------------------------------------------------------------- */

/* Enter it among the open lifetimes, which own a reference; take it out, with that reference. */
void open_lifetime(RecordedLifetime *lifetime);
void close_lifetime(RecordedLifetime *lifetime);

/* ---- recorder.c --------------------------------------------------------------------------- */

/* Whether the agent records, and how. */
typedef struct {
    PyObject_HEAD
    PyTypeObject *lifetime; /* owned */
    int64_t min_duration;
    int64_t slow;
    int64_t notable;
    bool on;
    bool sites;
    bool sends;
    bool messages;
} Recorder;

extern PyTypeObject *Recorder_Type;

/* A resource was created, `skip` Python frames up or further: its record, a new reference; NULL
   without memory, with no exception set. */
RecordedLifetime *recorder_begin(ResourceType *row, Lifetime *trigger, ThreadState *state,
                                 int skip);

/* The same, recorded or not, as the recorder says: what `born` does but for `notify`. */
Lifetime *lifetime_begin(ResourceType *row, Lifetime *trigger, ThreadState *state, int skip);

/* A resource was destroyed; the second, if it is certainly not inside a callback of its own. */
void recorder_finish(RecordedLifetime *lifetime, PyObject *outcome, int64_t now);
void recorder_finish_outside(RecordedLifetime *lifetime, PyObject *outcome, int64_t now);

/* Make it transparent: asyncio made it for itself. */
void recorder_hide(Lifetime *lifetime);

/* Note why it failed.  A pending exception stays so. */
void recorder_failed(Lifetime *lifetime, PyObject *error);

/* ---- parents.c ---------------------------------------------------------------------------- */

void parents_adopt(SpanLifetime *child, Lifetime *trigger, Lifetime *executing);
void parents_keep_family(SpanLifetime *child);
void parents_forget_family(SpanLifetime *child);

/* Take a lifetime out of its parent's trace: it turned out to root its own. */
void parents_make_root(SpanLifetime *child);

/* ---- ring.c ------------------------------------------------------------------------------- */

/* Take a finished lifetime on its way to the exporters, or count it as dropped. */
bool ring_push(SpanLifetime *lifetime);

/* ---- identities.c and places.c ------------------------------------------------------------- */

/* Whether a field reads as None. */
static inline bool
is_none(const void *field)
{
    return field == NULL || field == (const void *)Py_None;
}

/* What is the same for all spans of a trace, in the terms of OpenTelemetry. */
typedef struct {
    PyObject_HEAD
    uint8_t trace_id[16]; /* as it is sent */
    bool is_id;           /* false if `number` cannot be sent as a trace id */
    bool sampled;
    PyObject *number; /* the trace id, or NULL if nobody has asked for it */
    PyObject *flags;
    PyObject *state;         /* or NULL, as the next two */
    PyObject *remote_parent;
    PyObject *attributes;
    long long epoch;
} TraceIdentity;

/* One tree of spans.  Object fields but `identity` are what Python has set them to, or NULL. */
typedef struct {
    PyObject_HEAD
    PyObject *weak_references;
    PyObject *admitted;
    PyObject *wanted;
    PyObject *root;
    PyObject *carrier;
    PyObject *remote;
    TraceIdentity *identity; /* or NULL */
    PyObject *top;
    long long spans;
} Trace;

/* A lifetime's place in a trace.  Its parent is named by value, for a chain of Spans would keep
   every ancestor for as long as a child lives. */
typedef struct {
    PyObject_HEAD
    Trace *trace;
    long long async_id;
    long long segment;
    int64_t parent_async_id;
    int64_t parent_segment;
    PyObject *context; /* or NULL */
    PyObject *above;   /* or NULL */
    PyObject *counted; /* or NULL */
    int depth;
    bool has_parent;
    bool out;
    bool consumer;
} Span;

extern PyTypeObject *TraceIdentity_Type, *Trace_Type, *Span_Type;

/* New references, NULL without memory, with no exception set.  The collector is not told of the
   Span. */
Trace *trace_new(PyObject *root);
Span *span_new(Trace *trace, int64_t async_id, int64_t segment, Span *parent);

/* One of a trace that is sampled; a new reference, NULL with an exception set. */
TraceIdentity *identity_new(const uint8_t trace_id[16], PyObject *flags);

/* Give a trace an identity, if it has none: the one it has then, a new reference. */
TraceIdentity *trace_identify(Trace *trace, TraceIdentity *identity);

/* ---- collected.c -------------------------------------------------------------------------- */

/* Held by a resource and by nothing else: it dies with it, and says so. */
typedef struct {
    PyObject_HEAD
    Lifetime *lifetime;
} Token;

extern PyTypeObject *Token_Type;

/* A new reference, NULL without memory, with no exception set. */
PyObject *token_new(Lifetime *lifetime);

/* Whether something was collected, or is to be called, that the next turn of a loop is to tell. */
extern bool collected_waits;

/* Tell it.  A pending exception stays so. */
void drain_collected(ThreadState *state);

/* A resource is being collected: queue its destroy, if there is anybody to tell.  Calls nothing. */
void lifetime_dropped(Lifetime *lifetime);

/* Where no loop turns, tell it at an event that is outside the collector. */
void drain_between_turns(ThreadState *state);

/* ---- events.c ----------------------------------------------------------------------------- */

/* What `events.py` says of them; `skip` is as for recorder_begin, `resource` may be NULL for None.
   Never fail; a pending exception stays so. */
Lifetime *event_create(ThreadState *state, ResourceType *row, PyObject *resource, Lifetime *trigger,
                       int skip);
void event_enter(ThreadState *state, Lifetime *lifetime, PyObject *resource);
void event_leave(ThreadState *state, Lifetime *lifetime, Lifetime *previous);
void event_resolve(ThreadState *state, Lifetime *lifetime);
void event_end(ThreadState *state, Lifetime *lifetime, PyObject *outcome);

/* ---- steps.c ------------------------------------------------------------------------------ */

/* Of what cold surfaces enter and leave: its callback begins, and has ended. */
void step_entered(ThreadState *state, RecordedLifetime *lifetime, Lifetime *previous);
void step_left(ThreadState *state, RecordedLifetime *lifetime, Lifetime *previous);

/* The turn of a callback or step that the loop itself runs: what handles and brackets share. */
typedef struct {
    Lifetime *previous; /* owned until turn_end */
    int64_t began;
    int64_t ready;
} Turn;

/* before: it executes from here on.  The caller holds `state` and `lifetime` until after the end: a
   child that is forked meanwhile forgets them. */
void turn_begin(ThreadState *state, Lifetime *lifetime, PyObject *resource, Turn *turn);

/* after, the times, and if it `ends` its destroy with this outcome. */
void turn_end(ThreadState *state, Lifetime *lifetime, Turn *turn, bool ends, PyObject *outcome);

/* ---- tasks.c ------------------------------------------------------------------------------ */

/* The task whose step this callback is: borrowed, or NULL. */
PyObject *task_of(PyObject *callback);

/* Whether it is what a task in C schedules when what it has awaited is done. */
bool task_wakes_up(PyObject *callback);

/* The lifetime of a task whose step is being scheduled: borrowed; seen for the first time, it gets
   its init.  NULL without memory, with no exception set. */
Lifetime *task_scheduled(ThreadState *state, PyObject *task, int skip);

/* Whether the task is done; then promise_resolve was told, and `outcome` is its own. */
bool task_settles(ThreadState *state, Lifetime *lifetime, PyObject *task, PyObject **outcome);

/* The lifetime of what holds a token: a task, or a future of a class of the program's; borrowed, NULL
   of what holds none. */
Lifetime *token_lifetime(PyObject *resource);

/* The same where somebody else creates it: asyncio's own class, NULL until it is imported; name a
   span by what the task runs; leave our frames out of where debug mode has noted it as created. */
PyTypeObject *task_type(void);
void task_name(SpanLifetime *span, PyObject *coroutine);
void task_created_elsewhere(PyObject *task);

/* ---- scopes.c ----------------------------------------------------------------------------- */

/* A lifetime that executes inside a task: entered and left with each of the task's steps. */
typedef struct Scope {
    PyObject_HEAD
    Lifetime *lifetime;
    PyObject *resource; /* a weak reference: a task that is dropped unfinished is collectable */
    Lifetime *task;
    struct Scope *outer; /* or NULL */
} Scope;

extern PyTypeObject *Scope_Type;

/* Of a task, the innermost open scope; of what executes inside of one, its own: borrowed, or NULL. */
static inline Scope *
scope_of(Lifetime *lifetime)
{
    PyObject *scope = lifetime->scope;
    return scope != NULL && Py_IS_TYPE(scope, Scope_Type) ? (Scope *)scope : NULL;
}

/* Begin one in what executes: a new reference; NULL if that is no task, and with an exception set if
   the resource takes no weak references. */
Scope *scope_open(ThreadState *state, ResourceType *row, PyObject *resource, int skip);
void scope_close(ThreadState *state, Scope *scope, PyObject *outcome);

/* The step of a task begins, and ends: into and out of the scopes that are open in it.  A pending
   exception stays so. */
void scopes_enter(ThreadState *state, Lifetime *task);
void scopes_leave(ThreadState *state, Lifetime *task);

/* ---- attributes.c -------------------------------------------------------------------------- */

/* Say one more of a span, in the place where it has its attributes: in a dict that other spans share,
   or in its own.  -1 with an exception set.  `key` is interned. */
int attributes_add(PyObject **attributes, PyObject *key, PyObject *value);

/* The same of what comes once: in a dict of its own from here on. */
int attributes_add_own(PyObject **attributes, PyObject *key, PyObject *value);

/* ---- route_names.c ------------------------------------------------------------------------- */

/* The name of a request whose route is found: the method in the one it had before, and the template.
   A new reference, NULL with an exception set.  Both are str. */
PyObject *route_name(PyObject *before, PyObject *template);

/* ---- carried.c ----------------------------------------------------------------------------- */

/* A tuple: the headers that may name a remote parent, in lower case. */
extern PyObject *carried_names;

int carried_know(PyObject *names);

/* A dict of those that a request has, by their names: a new reference, or NULL if it has none.  -1
   with an exception set.  The first calls `header` with what stands for each in `names`; the second
   is given a list or tuple of pairs of bytes, of which the first of a name counts. */
int carried_asked_for(PyObject *header, PyObject *names, PyObject **carrier);
int carried_among(PyObject *headers, PyObject **carrier);

/* ---- scheduled.c -------------------------------------------------------------------------- */

/* The lifetime of a settled future or task, which is what its done callbacks are triggered by:
   borrowed, or NULL. */
Lifetime *settled_cause(PyObject *future);

void describe_timer(Lifetime *timer, Lifetime *trigger, PyObject *callback);
void hide_unfired(Lifetime *lifetime);

/* ---- callbacks.c -------------------------------------------------------------------------- */

/* What a loop whose handles are its own is given in place of a callback: a Callback, or a Step of a
   task.  Without a lifetime it runs its callback, and no event is told. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *callback; /* or NULL */
    PyObject *args;     /* a tuple, or NULL */
    Lifetime *lifetime; /* or NULL */
} Bracket;

extern PyTypeObject *Callback_Type, *Step_Type;

/* New references, NULL with an exception set. */
Bracket *callback_new(PyObject *callback, PyObject *const *args, Py_ssize_t number);
Bracket *step_new(PyObject *task, PyObject *callback, PyObject *const *args, Py_ssize_t number);

/* The program was told that it is not scheduled, and the loop has taken it: it does not run. */
void callback_refuse(Bracket *callback);

/* ---- methods.c ---------------------------------------------------------------------------- */

/* What stands in a class in place of a method of the program's or of a loop's. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall; /* given the Method itself, and the instance as first argument */
    PyObject *original;        /* never NULL */
    PyObject *look;            /* called before the original, with the same arguments; or NULL */
    PyObject *among; /* a dict, or NULL */
    PyObject *dict;
    PyObject *weakrefs;
} Method;

extern PyTypeObject *Method_Type;

/* A new reference, NULL with an exception set. */
PyObject *method_new(vectorcallfunc call, PyObject *original);

/* Call the original with the same arguments, the instance first. */
PyObject *method_call_original(PyObject *method, PyObject *const *args, size_t nargsf,
                               PyObject *kwnames);

/* ---- protocols.c -------------------------------------------------------------------------- */

/* Whether this is a method of a connected protocol, or ends its transport.  No exception may be
   pending. */
bool is_of_connection(PyObject *callback);

/* ---- futures.c ---------------------------------------------------------------------------- */

/* The lifetime of a future of our class, borrowed; NULL of any other object. */
Lifetime *future_lifetime(PyObject *future);

/* Whether there is one, and a new one, as the class makes it: NULL with an exception set. */
bool future_class_is_made(void);
PyObject *future_new(PyObject *loop);

/* ---- awaited.c ---------------------------------------------------------------------------- */

/* Call a step of a task in C: the callback that asyncio has scheduled for it, with its arguments.  NULL
   with an exception set. */
PyObject *future_step(ThreadState *state, PyObject *callback, PyObject *args);

/* ---- module.c ----------------------------------------------------------------------------- */

/* A string that Python has interned, and where it is to be. */
typedef struct {
    PyObject **place;
    const char *name;
} WantedName;

/* Intern so many; -1 with an exception set. */
int names_intern(const WantedName *wanted, size_t number);

/* What is shared: the singletons that hot paths look at, and what they call in Python.  All are
   set before the first event, and never NULL from then on but where it says so. */
typedef struct {
    Listeners *listeners;
    Recorder *recorder;
    ResourceType *task, *future, *handle, *timer_handle;
    ResourceType *thread, *timer, *executor_job;
    Lifetime *main, *outside; /* the top levels */
    PyObject *python;         /* dict: name -> a function of agent/engine that C calls */
} Engine;

extern Engine engine;

/* A function of agent/engine/ that C calls where something rare happens: borrowed; NULL if it is
   not known yet. */
PyObject *python_function(const char *name);

/* Each file adds its types and functions; -1 with an exception set. */
int histograms_add(PyObject *module);
int resource_types_add(PyObject *module);
int causes_add(PyObject *module);
int lifetimes_add(PyObject *module);
int execution_add(PyObject *module);
int dispatch_add(PyObject *module);
int calibration_add(PyObject *module);
int clock_add(PyObject *module);
int sites_add(PyObject *module);
int open_lifetimes_add(PyObject *module);
int recorder_settings_add(PyObject *module);
int recorder_add(PyObject *module);
int parents_add(PyObject *module);
int ring_add(PyObject *module);
int identities_add(PyObject *module);
int places_add(PyObject *module);
int placing_add(PyObject *module);
int packer_add(PyObject *module);
int runs_add(PyObject *module);
int posting_add(PyObject *module);
int collected_add(PyObject *module);
int events_add(PyObject *module);
int steps_add(PyObject *module);
int tasks_add(PyObject *module);
int scopes_add(PyObject *module);
int eager_tasks_add(PyObject *module);
int requests_add(PyObject *module);
int scheduled_add(PyObject *module);
int futures_add(PyObject *module);
int handles_add(PyObject *module);
int running_add(PyObject *module);
int stock_handles_add(PyObject *module);
int loop_methods_add(PyObject *module);
int iterations_add(PyObject *module);
int stream_transports_add(PyObject *module);
int standin_add(PyObject *module);
int callbacks_add(PyObject *module);
int scheduling_add(PyObject *module);
int methods_add(PyObject *module);
int protocols_add(PyObject *module);

/* Make a heap type of `spec`, put it into `module` under its name and into `*type`. */
int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **type);

/* What a weak reference refers to: a new reference, or NULL with no exception set. */
static inline PyObject *
weak_referent(PyObject *reference)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *referent = NULL;
    return PyWeakref_GetRef(reference, &referent) == 1 ? referent : NULL;
#else
    PyObject *referent = PyWeakref_GET_OBJECT(reference);
    return referent == Py_None ? NULL : Py_NewRef(referent);
#endif
}

/* An exception that was pending, put aside while Python is called. */
typedef struct {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *raised;
#else
    PyObject *type, *value, *traceback;
#endif
} Pending;

static inline void
pending_save(Pending *pending)
{
#if PY_VERSION_HEX >= 0x030C0000
    pending->raised = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&pending->type, &pending->value, &pending->traceback);
#endif
}

/* Go on without the exception that is set, by which Python of ours was left.  Ctrl-C, and the exit
   that a signal handler of the program's asks for, are raised as soon as the main thread runs; a
   lack of memory or of stack is passed over; what else there is is a mistake of ours, and shown. */
void exception_dropped(void);

/* A hook has ended, and none is under way in this thread: what has waited for it is raised. */
void interrupts_go_on(void);

/* Put it back; what has been raised since is dropped. */
static inline void
pending_restore(Pending *pending)
{
    if (UNLIKELY(PyErr_Occurred() != NULL)) {
        exception_dropped();
    }
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(pending->raised);
#else
    PyErr_Restore(pending->type, pending->value, pending->traceback);
#endif
}

/* The pending exception itself, with its traceback, as an `except` clause has it: a new reference,
   NULL if there is none. */
static inline PyObject *
raised_take(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
#endif
}

/* Raise it again, with the traceback that it has now; the reference is taken. */
static inline void
raised_again(PyObject *error)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

#endif
