/* What time it is: nanoseconds of the monotonic clock, read from the processor's own counter.

   Twin of `clock` in agent/engine/recorder.py, which is `time.monotonic_ns`.  A reading of the
   counter (TSC) costs a third of one of the system's clock, and each callback needs two or three.

   The rules:

   - The counter is used only where the processor says that it is constant and never stops, and the
     system itself keeps time by it.  Elsewhere, and as soon as the two disagree (a suspended or
     migrated machine), it is the system's clock, for good.
   - It agrees with `time.monotonic_ns()`, as calibration.c says. */

#include "calibration.h"

#include <time.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && defined(__linux__)
#define HAVE_COUNTER 1
#include <cpuid.h>
#include <x86intrin.h>
#else
#define HAVE_COUNTER 0
#endif

/* ---- the clocks of this machine ----------------------------------------------------------- */

static Calibration calibration = {.phase = ABANDONED};

/* What tests have read instead; or NULL. */
static PyObject *substitute;

static int64_t
monotonic_now(void)
{
#if defined(__linux__)
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
#elif PY_VERSION_HEX >= 0x030D0000
    PyTime_t now = 0;
    (void)PyTime_MonotonicRaw(&now);
    return now;
#else
    return _PyTime_GetMonotonicClock();
#endif
}

#if HAVE_COUNTER

/* Read both clocks at one moment, as nearly as a few attempts can: whoever is interrupted between
   two readings sees them far apart. */
static void
read_pair(uint64_t *ticks, int64_t *monotonic)
{
    uint64_t narrowest = UINT64_MAX;
    for (int attempt = 0; attempt < 4; attempt++) {
        uint64_t before = __rdtsc();
        int64_t between = monotonic_now();
        uint64_t width = __rdtsc() - before;
        if (width < narrowest) {
            narrowest = width;
            *ticks = before + width / 2;
            *monotonic = between;
        }
    }
}

static bool
counter_never_stops(void)
{
    unsigned int eax, ebx, ecx, edx;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx & (1u << 8)) != 0;
}

/* Whether the system itself keeps time by it; where it does not say, it may. */
static bool
system_trusts_counter(void)
{
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
    if (file == NULL) {
        return true;
    }
    char name[8] = "";
    bool trusts = fgets(name, sizeof(name), file) != NULL && strncmp(name, "tsc", 3) == 0;
    fclose(file);
    return trusts;
}

#endif

static int64_t
substitute_now(void)
{
    Pending pending;
    pending_save(&pending);
    PyObject *read = PyObject_CallNoArgs(substitute);
    int64_t now = read == NULL ? -1 : PyLong_AsLongLong(read);
    if (read == NULL || PyErr_Occurred()) {
        PyErr_WriteUnraisable(substitute);
    }
    Py_XDECREF(read);
    pending_restore(&pending);
    return now;
}

/* What is not read at once from the counter. */
static int64_t
slow_now(void)
{
    if (substitute != NULL) {
        return substitute_now();
    }
#if HAVE_COUNTER
    if (calibration.phase != ABANDONED) {
        uint64_t ticks = 0;
        int64_t monotonic = 0;
        read_pair(&ticks, &monotonic);
        return calibration_take(&calibration, ticks, monotonic);
    }
#endif
    int64_t now = monotonic_now();
    if (now < calibration.latest) {
        return calibration.latest;
    }
    return now;
}

int64_t
clock_now(void)
{
#if HAVE_COUNTER
    int64_t now;
    if (LIKELY(calibration_read(&calibration, __rdtsc(), &now))) {
        return now;
    }
#endif
    return slow_now();
}

static void
begin_calibration(void)
{
    memset(&calibration, 0, sizeof(calibration));
    calibration.phase = ABANDONED;
#if HAVE_COUNTER
    if (counter_never_stops() && system_trusts_counter()) {
        calibration.phase = UNKNOWN;
    }
#endif
}

/* ---- as Python sees it -------------------------------------------------------------------- */

static PyObject *
clock_method(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong(clock_now());
}

static PyObject *
clock_source(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyUnicode_FromString(calibration.phase == ABANDONED ? "system" : "tsc");
}

static PyObject *
use_clock(PyObject *Py_UNUSED(module), PyObject *clock)
{
    Py_XSETREF(substitute, clock == Py_None ? NULL : Py_NewRef(clock));
    begin_calibration();
    if (substitute != NULL) {
        calibration.phase = ABANDONED;
    }
    Py_RETURN_NONE;
}

static PyMethodDef clock_functions[] = {
    {"clock", clock_method, METH_NOARGS, "Nanoseconds of the monotonic clock."},
    {"clock_source", clock_source, METH_NOARGS, "Which clock is read: \"tsc\" or \"system\"."},
    {"use_clock", use_clock, METH_O,
     "For tests: read this callable in place of the clock; None: the clock again."},
    {NULL, NULL, 0, NULL},
};

int
clock_add(PyObject *module)
{
    begin_calibration();
    return PyModule_AddFunctions(module, clock_functions);
}
