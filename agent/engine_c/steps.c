/* The steps of what is entered and left: how long, how long ready before, in whose loop.

   Twin of agent/engine/steps.py; and of what handles.py and callbacks.py have written out, the turn
   of a callback or step that the loop itself runs.  What holds its loop for long is for Python to
   look into (`blocks.py`). */

#include "engine.h"

/* Ask Python whose the nanoseconds of a long step are: how many are somebody's.  `function` is one
   of blocks.py. */
static int64_t
ask_held(const char *function, ThreadState *state, RecordedLifetime *lifetime, int64_t began,
         int64_t now)
{
    int64_t step = now - began;
    PyObject *held = python_function(function);
    if (held == NULL) {
        return step;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *answer = PyObject_CallFunction(held, "OOLL", state, lifetime, (long long)began,
                                             (long long)now);
    if (answer != NULL && PyLong_Check(answer)) {
        step = PyLong_AsLongLong(answer);
    }
    Py_XDECREF(answer);
    pending_restore(&pending);
    return step;
}

/* The same of a callback of the loop itself, most of which take no time worth a look. */
static inline int64_t
held(ThreadState *state, RecordedLifetime *lifetime, int64_t began, int64_t now)
{
    if (LIKELY(now - began <= engine.recorder->notable)) {
        return now - began;
    }
    return ask_held("held", state, lifetime, began, now);
}

/* ---- a turn of the loop ------------------------------------------------------------------- */

/* Since when it has been ready, and for how long. */
static inline void
begin_time(ThreadState *state, RecordedLifetime *lifetime, Turn *turn)
{
    turn->began = lifetime->entered = state->entered = clock_now();
    int64_t ready = turn->began - lifetime->scheduled;
    if (LIKELY(ready > 0)) {
        turn->ready = ready;
        lifetime->ready += ready;
        if (UNLIKELY(ready > LONG_NANOSECONDS)) {
            turns_record_long(lifetime->base.type->turns, ready, 0);
        }
    }
}

void
turn_begin(ThreadState *state, Lifetime *lifetime, PyObject *resource, Turn *turn)
{
    if (UNLIKELY(collected_waits)) {
        drain_collected(state);
    }
    turn->previous = execution_swap(state, lifetime);
    turn->began = turn->ready = 0;
    Py_XSETREF(lifetime->resource, Py_NewRef(resource));
    if (is_recorded(lifetime)) {
        begin_time(state, (RecordedLifetime *)lifetime, turn);
    }
    emit(state, engine.listeners->before, lifetime->async_id);
}

/* How long it took; the time. */
static inline int64_t
end_time(ThreadState *state, RecordedLifetime *lifetime, Turn *turn)
{
    int64_t now = lifetime->scheduled = clock_now();
    int64_t step = held(state, lifetime, turn->began, now);
    if (LIKELY(lifetime->entered != 0)) { /* else it was counted when it ended, inside */
        lifetime->run += step;
        lifetime->steps++;
    }
    lifetime->base.type->turns->counts[slot_of(turn->ready)][slot_of(step)]++;
    state->busy += step;
    state->entered = 0;
    return now;
}

void
turn_end(ThreadState *state, Lifetime *lifetime, Turn *turn, bool ends, PyObject *outcome)
{
    int64_t now = 0;
    emit(state, engine.listeners->after, lifetime->async_id);
    if (turn->began != 0) {
        now = end_time(state, (RecordedLifetime *)lifetime, turn);
    }
    Py_INCREF((PyObject *)lifetime);
    execution_restore(state, turn->previous);
    Py_CLEAR(lifetime->resource);
    if (ends && lifetime->open) {
        lifetime->open = false;
        if (is_recorded(lifetime)) {
            recorder_finish_outside((RecordedLifetime *)lifetime, outcome, now);
        }
        emit(state, engine.listeners->destroy, lifetime->async_id);
    }
    Py_DECREF((PyObject *)lifetime);
}

/* ---- a step of what a cold surface enters and leaves -------------------------------------- */

/* Tell the histogram of a type's queue. */
static void
record_queued(PyObject *queue, int64_t ready)
{
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = PyObject_CallMethod(queue, "record", "L", (long long)(ready > 0 ? ready : 0));
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

void
step_entered(ThreadState *state, RecordedLifetime *lifetime, Lifetime *previous)
{
    int64_t now = lifetime->entered = clock_now();
    ResourceType *row = lifetime->base.type;
    if (row->on_loop && !state->entered) {
        /* Called by a loop in C with no handle around: a protocol's callback. */
        state->entered = now;
        Py_XSETREF(state->beyond, (Lifetime *)Py_NewRef((PyObject *)previous));
    }
    if (lifetime->scheduled) {
        int64_t ready = now - lifetime->scheduled;
        lifetime->ready += ready;
        if (!is_none(row->queue)) {
            record_queued(row->queue, ready);
        }
    }
    if (!row->on_loop && is_span((Lifetime *)lifetime)) {
        /* Of a job, or a thread: it was made in another. */
        ((SpanLifetime *)lifetime)->thread_id = state->thread_id;
    }
}

void
step_left(ThreadState *state, RecordedLifetime *lifetime, Lifetime *previous)
{
    int64_t now = clock_now();
    ResourceType *row = lifetime->base.type;
    bool outermost = row->on_loop && previous == state->beyond && state->entered > 0;
    int64_t began = outermost ? state->entered : lifetime->entered;
    int64_t step = now - began;
    if (outermost) {
        step = held(state, lifetime, began, now);
        state->entered = 0;
        Py_CLEAR(state->beyond);
        state->busy += step;
        row->turns->counts[0][slot_of(step)]++;
    }
    else if (began && row->on_loop && step > engine.recorder->slow) {
        step = ask_held("held_within", state, lifetime, began, now);
    }
    if (lifetime->entered) { /* else it was counted when it ended, inside its callback */
        lifetime->scheduled = 0;
        lifetime->run += step;
        lifetime->steps++;
    }
}
