/* What asyncio asks its loops all the time, answered without a frame: `get_debug`, `is_running`, `time`.

   The constructor of every future and task asks for the first, every timer for the last.  A loop whose
   class keeps it elsewhere, or a clock that somebody has patched: asyncio's own method answers. */

#include "loops.h"

static PyObject *loop_namespace; /* of asyncio.base_events */
static PyObject *time_module, *time_namespace, *monotonic;
static PyObject *name_time, *name_monotonic;

static inline bool
is_alone(size_t nargsf, PyObject *kwnames)
{
    return LIKELY(PyVectorcall_NARGS(nargsf) == 1 && kwnames == NULL) && !frames_are_watched();
}

static PyObject *
get_debug(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *debug = is_alone(nargsf, kwnames) ? regular_loop_debug(args[0]) : NULL;
    return LIKELY(debug != NULL) ? Py_NewRef(debug)
                                 : method_call_original(method, args, nargsf, kwnames);
}

static PyObject *
is_running(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *thread = is_alone(nargsf, kwnames) ? regular_loop_thread(args[0]) : NULL;
    return LIKELY(thread != NULL) ? PyBool_FromLong(thread != Py_None)
                                  : method_call_original(method, args, nargsf, kwnames);
}

bool
clock_is_stock(void)
{
    return namespace_has(loop_namespace, name_time, time_module)
           && namespace_has(time_namespace, name_monotonic, monotonic);
}

PyObject *
clock_tell(void)
{
    return PyObject_CallNoArgs(monotonic);
}

static PyObject *
tell_time(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return LIKELY(is_alone(nargsf, kwnames) && clock_is_stock())
        ? clock_tell()
        : method_call_original(method, args, nargsf, kwnames);
}

/* ---- what asyncio has ---- */

static int
look_up_clock(PyObject *base_events)
{
    loop_namespace = Py_NewRef(PyModule_GetDict(base_events));
    name_time = PyUnicode_InternFromString("time");
    name_monotonic = PyUnicode_InternFromString("monotonic");
    if (name_time == NULL || name_monotonic == NULL) {
        return -1;
    }
    time_module = Py_XNewRef(PyDict_GetItemWithError(loop_namespace, name_time));
    if (time_module == NULL || !PyModule_Check(time_module)) {
        PyErr_SetString(PyExc_TypeError, "expected asyncio to have imported time");
        return -1;
    }
    time_namespace = Py_NewRef(PyModule_GetDict(time_module));
    monotonic = PyObject_GetAttr(time_module, name_monotonic);
    return monotonic == NULL ? -1 : 0;
}

int
loop_answers_make(PyObject *base_events, PyObject *methods, AddMethod add)
{
    if (look_up_clock(base_events) < 0 || add(methods, "get_debug", get_debug) < 0
        || add(methods, "is_running", is_running) < 0 || add(methods, "time", tell_time) < 0) {
        return -1;
    }
    return 0;
}
