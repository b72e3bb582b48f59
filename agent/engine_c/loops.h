/* What stands in place of methods of asyncio's loops, and what they need of each other.

   Wherever a loop, or what it works with, is not as asyncio has it, asyncio's own methods are called. */

#ifndef WHENCE_LOOPS_H
#define WHENCE_LOOPS_H

#include "handles.h"

/* What an iteration of a loop looks at, each borrowed; NULL is what the loop does not have. */
typedef struct {
    PyObject *ready, *scheduled, *stopping, *selector, *clock_resolution, *cancelled_count;
} Iteration;

/* Whether what a module's namespace has under this name is `expected`. */
static inline bool
namespace_has(PyObject *namespace, PyObject *name, PyObject *expected)
{
    PyObject *found = PyDict_GetItemWithError(namespace, name);
    if (UNLIKELY(found == NULL && PyErr_Occurred())) {
        PyErr_Clear();
    }
    return found == expected;
}

/* ---- regular_loops.c ---------------------------------------------------------------------- */

/* Whether its class leaves `time()` as asyncio has it. */
bool loop_has_stock_time(PyObject *loop);

/* Whether what the loop and its handles do is what asyncio has written, out of debug mode; it may be
   closed. */
bool loop_is_plain(PyObject *loop);

/* The queue and the heap of a loop that puts there what it schedules as asyncio's own do: borrowed;
   NULL of one that does not, or is closed, or in debug mode. */
PyObject *regular_loop_queue(PyObject *loop);
PyObject *regular_loop_heap(PyObject *loop);

/* The same queue of any loop that has one; and of one that is plain. */
PyObject *loop_queue(PyObject *loop);
PyObject *plain_loop_queue(PyObject *loop);

/* Whether an iteration of the loop does what asyncio's selector loops have written, out of debug mode,
   with a clock and methods of theirs. */
bool loop_iterates_as_stock(PyObject *loop, Iteration *iteration);
int regular_loops_know_iteration(PyTypeObject *selector_event_loop);

/* Count so many more cancelled timers, as `_timer_handle_cancelled` does: false, with nothing done, of a
   loop that is to be told in its own way. */
bool loop_counts_cancelled(PyObject *loop, long more);

/* What a loop keeps as asyncio's own do: whether it is in debug mode, and the thread that runs it.  Each
   borrowed; NULL of any other loop. */
PyObject *regular_loop_debug(PyObject *loop);
PyObject *regular_loop_thread(PyObject *loop);

/* Whether its `call_at` is the one that was told of. */
bool loop_calls_own_call_at(PyObject *loop);

/* What stands in place of asyncio's methods: name -> method. */
void regular_loops_own(PyObject *methods);

/* Remember what stands in the classes while nobody has patched them; -1 with an exception set. */
int regular_loops_know(PyTypeObject *base_event_loop);

/* ---- ready_queue.c ------------------------------------------------------------------------ */

/* Put a handle at the end of the queue of a loop, as `append` does: -1 with an exception set. */
int queue_append(PyObject *queue, PyObject *handle);

/* Take the first one, as `popleft` does: NULL with an exception set. */
PyObject *queue_pop(PyObject *queue);

/* Whether it is a deque as asyncio makes it. */
bool queue_is_usual(PyObject *queue);

/* Remember what the methods of this class are in C; -1 with an exception set. */
int queue_know(PyTypeObject *deque);

/* ---- timer_heap.c ------------------------------------------------------------------------- */

/* Whether asyncio is to look at its heap itself. */
bool heap_is_for_asyncio(Iteration *now);

/* Make it so that the first timer is not cancelled: 1, or 0 if then asyncio is to go on; -1 with an
   exception set. */
int heap_drop_cancelled(PyObject *loop, Iteration *now);

/* For how long to ask the selector, in seconds: a new reference, or NULL with an exception set. */
PyObject *heap_wait(Iteration *now);

/* Put the timers that are due into the queue; -1 with an exception set. */
int heap_queue_due(PyObject *loop, double resolution);

/* Remember what `asyncio.base_events` works with; -1 with an exception set. */
int heap_know(PyObject *base_events);

/* ---- polling.c ---------------------------------------------------------------------------- */

/* Whether it is an EpollSelector that selects as Python has it; it may be NULL. */
bool selector_is_stock(PyObject *selector);

/* Ask it, for so many seconds (a number): a list of descriptors and events, or NULL with an exception
   set. */
PyObject *selector_poll(PyObject *selector, PyObject *timeout);

/* Put into the loop's queue what waits for these; -1 with an exception set. */
int selector_queue(PyObject *loop, PyObject *selector, PyObject *events);

/* Remember what stands in the class of selectors, and the class of their keys; -1 with an exception
   set. */
int polling_know(PyTypeObject *selector, PyTypeObject *key);

/* ---- iterations.c ------------------------------------------------------------------------- */

/* Whether an iteration of the loop is as asyncio has it, and what it looks at; else asyncio's own is to
   be called. */
bool iteration_begins(PyObject *loop, Iteration *now);

/* ---- loop_answers.c ----------------------------------------------------------------------- */

/* Whether what a loop tells the time by is what asyncio finds where nobody has patched it; and that
   time: a new reference, or NULL with an exception set. */
bool clock_is_stock(void);
PyObject *clock_tell(void);

/* Add what answers in place of asyncio's methods; -1 with an exception set. */
typedef int (*AddMethod)(PyObject *methods, const char *name, vectorcallfunc call);
int loop_answers_make(PyObject *base_events, PyObject *methods, AddMethod add);

#endif
