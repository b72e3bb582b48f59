/* Where in the program's own code something is created, without a frame object.

   Twin of agent/engine/sites.py, for the two reads of the hot path: the code and the instruction.

   - This file, and no other, knows what a frame of the interpreter consists of.
   - Whose code a file is, Python says (`sites.whose`).  It is remembered by the address of the
     file's name, which all code of a module shares; so the name is kept alive. */

#define Py_BUILD_CORE_MODULE 1

#include "engine.h"

#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include "internal/pycore_frame.h"
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif

typedef struct _PyInterpreterFrame Frame;

/* ---- frames of the interpreter ------------------------------------------------------------ */

static inline Frame *
innermost_frame(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_Get()->current_frame;
#else
    return PyThreadState_Get()->cframe->current_frame;
#endif
}

static inline PyCodeObject *
code_of(Frame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (PyCodeObject *)frame->f_executable;
#else
    return frame->f_code;
#endif
}

/* Whether Python shows this one: not what is entered from C, nor what has not begun. */
static inline bool
is_shown(Frame *frame)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (frame->owner == FRAME_OWNED_BY_CSTACK) {
        return false;
    }
#endif
    return !_PyFrame_IsIncomplete(frame);
}

/* The innermost of these that Python shows; NULL if there is none. */
static inline Frame *
shown(Frame *frame)
{
    while (frame != NULL && !is_shown(frame)) {
        frame = frame->previous;
    }
    return frame;
}

/* As `frame.f_lasti` says it. */
static inline int
lasti_of(Frame *frame)
{
    int index = _PyInterpreterFrame_LASTI(frame);
    return index < 0 ? -1 : index * (int)sizeof(_Py_CODEUNIT);
}

/* The frame `skip` up from the innermost; the innermost if there are not as many before the floor:
   the outermost function of a thread, or callback, may be one of C's. */
static inline Frame *
frame_up(int skip, const void *floor)
{
    Frame *innermost = shown(innermost_frame());
    Frame *frame = innermost;
    for (; skip > 0 && frame != NULL && frame != floor; skip--) {
        frame = shown(frame->previous);
    }
    return frame == NULL || frame == floor ? innermost : frame;
}

const void *
floor_enter(ThreadState *state)
{
    const void *before = state->floor;
    state->floor = shown(innermost_frame());
    if (before == NULL) {
        state->outermost = state->floor;
    }
    return before;
}

void
floor_leave(ThreadState *state, const void *before)
{
    state->floor = before;
    if (before == NULL) {
        state->outermost = NULL;
    }
}

static Frame *
innermost_of(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030D0000
    return shown(thread->current_frame);
#else
    return shown(thread->cframe->current_frame);
#endif
}

/* How many frames that Python shows another thread has within the callback that its loop has
   called; 0 if it is not inside of one.  Until a thread has begun, its state has the id of who
   started it in CPython 3.11: that of several which has the callback is the one. */
static int
frames_within(ThreadState *state)
{
    if (state->outermost == NULL) {
        return 0;
    }
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->thread_id != state->thread_id) {
            continue;
        }
        int number = 0;
        Frame *frame = innermost_of(thread);
        for (; frame != NULL && frame != state->outermost; frame = shown(frame->previous)) {
            number++;
        }
        if (frame != NULL) {
            return number;
        }
    }
    return 0;
}

static PyObject *
tell_frames_within(PyObject *Py_UNUSED(module), PyObject *state)
{
    if (!PyObject_TypeCheck(state, ThreadState_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a ThreadState, not %R", state);
        return NULL;
    }
    return PyLong_FromLong(frames_within((ThreadState *)state));
}

/* ---- whose code a file is ----------------------------------------------------------------- */

#define REMEMBERED 1024 /* a power of 2 */

typedef struct {
    PyObject *file; /* owned, or NULL */
    bool is_program;
} Answer;

static Answer answers[REMEMBERED];

static PyObject *run_once, *run_forever, *run; /* interned */

static inline Answer *
answer_for(PyObject *file)
{
    uintptr_t address = (uintptr_t)file;
    return &answers[(address >> 4 ^ address >> 14) & (REMEMBERED - 1)];
}

/* Whether Python says that it is the program's; `*sure` is false if it could not. */
static bool
ask_whose(PyObject *file, bool *sure)
{
    *sure = false;
    PyObject *whose = python_function("whose");
    if (whose == NULL) {
        return false;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *answer = NULL;
    /* A name of the program's making is not to be asked for its hash. */
    PyObject *name = PyUnicode_FromObject(file);
    if (name != NULL) {
        answer = PyObject_CallOneArg(whose, name);
        Py_DECREF(name);
    }
    bool is_program = false;
    if (answer != NULL && PyUnicode_Check(answer)) {
        *sure = true;
        is_program = PyUnicode_CompareWithASCIIString(answer, "program") == 0;
    }
    Py_XDECREF(answer);
    pending_restore(&pending);
    return is_program;
}

static bool
ask_and_remember(PyObject *file)
{
    bool sure;
    Py_INCREF(file);
    bool is_program = ask_whose(file, &sure);
    if (sure && PyUnicode_CheckExact(file)) {
        Answer *answer = answer_for(file);
        answer->is_program = is_program;
        Py_XSETREF(answer->file, Py_NewRef(file));
    }
    Py_DECREF(file);
    return is_program;
}

static inline bool
is_of_program(PyObject *file)
{
    Answer *answer = answer_for(file);
    if (LIKELY(answer->file == file)) {
        return answer->is_program;
    }
    return ask_and_remember(file);
}

static PyObject *
forget_files(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    for (size_t nth = 0; nth < REMEMBERED; nth++) {
        Py_CLEAR(answers[nth].file);
    }
    Py_RETURN_NONE;
}

/* ---- the search --------------------------------------------------------------------------- */

/* Whether a function of the plumbing is one beyond which is what started the loop. */
static bool
runs_callbacks(PyObject *name)
{
    if (name == run_once || name == run || name == run_forever) {
        return true;
    }
    return !PyUnicode_CHECK_INTERNED(name) &&
           (PyUnicode_Compare(name, run_once) == 0 || PyUnicode_Compare(name, run) == 0 ||
            PyUnicode_Compare(name, run_forever) == 0);
}

bool
site_is_plumbing(PyObject *file)
{
    return !is_of_program(file);
}

/* The innermost frame of the program's own code from this one outwards; NULL where only the loop
   is running. */
static inline Frame *
outside(Frame *frame, const void *floor)
{
    while (frame != NULL && frame != floor) {
        PyCodeObject *code = code_of(frame);
        if (is_of_program(code->co_filename)) {
            return frame;
        }
        if (runs_callbacks(code->co_name)) {
            return NULL;
        }
        frame = shown(frame->previous);
    }
    return NULL;
}

void
site_note(RecordedLifetime *lifetime, Lifetime *trigger, ThreadState *state, int skip)
{
    Frame *frame = outside(frame_up(skip, state->floor), state->floor);
    if (LIKELY(frame != NULL)) {
        lifetime->lasti = lasti_of(frame);
        Py_XSETREF(lifetime->code, Py_NewRef((PyObject *)code_of(frame)));
    }
    else if (PyObject_TypeCheck((PyObject *)trigger, RecordedLifetime_Type)) {
        RecordedLifetime *cause = (RecordedLifetime *)trigger;
        lifetime->lasti = cause->lasti;
        Py_XSETREF(lifetime->code, Py_XNewRef(cause->code));
    }
}

/* Code and instruction of the frame `skip` up from the caller, or the program's from there on: what
   tests compare with `sys._getframe` and `sites.outside`. */
static PyObject *
place(Frame *frame)
{
    if (frame == NULL) {
        return Py_BuildValue("Oi", Py_None, 0);
    }
    return Py_BuildValue("Oi", code_of(frame), lasti_of(frame));
}

static PyObject *
place_up(PyObject *Py_UNUSED(module), PyObject *skip)
{
    long number = PyLong_AsLong(skip);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return place(frame_up((int)number, NULL));
}

static PyObject *
place_outside(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return place(outside(frame_up(0, NULL), NULL));
}

static PyMethodDef sites_functions[] = {
    {"forget_files", forget_files, METH_NOARGS, "Ask anew whose code each file is."},
    {"place_up", place_up, METH_O, "Code and instruction of the frame so many up."},
    {"frames_within", tell_frames_within, METH_O,
     "How many frames the thread of this state has within the callback of its loop."},
    {"place_outside", place_outside, METH_NOARGS, "The innermost place of the program's code."},
    {NULL, NULL, 0, NULL},
};

int
sites_add(PyObject *module)
{
    run = PyUnicode_InternFromString("_run");
    run_once = PyUnicode_InternFromString("_run_once");
    run_forever = PyUnicode_InternFromString("run_forever");
    if (run == NULL || run_once == NULL || run_forever == NULL) {
        return -1;
    }
    return PyModule_AddFunctions(module, sites_functions);
}
