/* What time it is: nanoseconds of the monotonic clock, read from the processor's own counter.

   Twin of `clock` in agent/engine/recorder.py, which is `time.monotonic_ns`.  A reading of the
   counter (TSC) costs a third of one of the system's clock, and each callback needs two or three.

   The rules:

   - The counter is used only where the processor says that it is constant and never stops, and the
     system itself keeps time by it.  Elsewhere, and as soon as the two disagree (a suspended or
     migrated machine), it is the system's clock, for good.
   - It agrees with `time.monotonic_ns()`: once a second, in the reading that notices, the two are
     compared.  A difference is made up for over the next second, by going slightly faster or
     slower: time makes no step, and never goes backwards.
   - `calibration_*` are functions of pairs (ticks of the counter, nanoseconds of the system's
     clock) and of nothing else, so hours of them can be tried out in no time. */

#include "engine.h"
#include "structmember.h"

#include <time.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && defined(__linux__)
#define HAVE_COUNTER 1
#include <cpuid.h>
#include <x86intrin.h>
#else
#define HAVE_COUNTER 0
#endif

#define MILLISECOND 1000000LL
#define SECOND 1000000000LL

/* Comparisons are this far apart: at first, when the rate is known from a short time only; then
   twice as far each time, up to a second. */
#define FIRST_SPAN (16 * MILLISECOND)
#define LONGEST_SPAN SECOND

/* The time from which the first rate is taken. */
#define SHORTEST_BASE (8 * MILLISECOND)

/* Two clocks that keep time differ by less than one part in this many: the system's may be slewed
   by one in 2000. */
#define TOLERANCE 1000

/* By how much the two readings of a pair may be apart, by which both clocks seem to differ. */
#define SLACK (20 * 1000LL)

#define TWO_TO_32 4294967296.0

/* ---- the calibration ---------------------------------------------------------------------- */

typedef enum {
    UNKNOWN,   /* there has been no pair yet */
    BEGUN,     /* there is one, from which to find the rate */
    RUNNING,   /* the counter is used */
    ABANDONED, /* the system's clock is used, for good */
} Phase;

/* From `ticks` on, for `width` ticks, time goes on from `nanoseconds` at `rate` a tick. */
typedef struct {
    Phase phase;
    uint64_t ticks;
    uint64_t width; /* 0 unless RUNNING: every reading needs a pair then */
    int64_t nanoseconds;
    uint64_t rate; /* nanoseconds * 2**32 a tick, made faster or slower to catch up */
    double measured;        /* nanoseconds a tick, as last found */
    uint64_t compared_ticks;
    int64_t compared;       /* the pair of the last comparison */
    int64_t span;           /* nanoseconds to the next one */
    int64_t latest;         /* what was read last: time never goes backwards */
} Calibration;

/* Let time go on from here, from `nanoseconds`, for `span` at `rate` nanoseconds a tick. */
static void
calibration_go_on(Calibration *self, uint64_t ticks, int64_t nanoseconds, double rate)
{
    self->ticks = ticks;
    self->nanoseconds = nanoseconds;
    self->rate = (uint64_t)(rate * TWO_TO_32);
    self->width = (uint64_t)((double)self->span / rate);
}

static void
calibration_abandon(Calibration *self)
{
    self->phase = ABANDONED;
    self->width = 0;
}

static void
calibration_compared(Calibration *self, uint64_t ticks, int64_t monotonic)
{
    self->compared_ticks = ticks;
    self->compared = monotonic;
}

/* The first rate, from the first pair and this one. */
static void
calibration_find_rate(Calibration *self, uint64_t ticks, int64_t monotonic)
{
    int64_t lasted = monotonic - self->compared;
    if (lasted < SHORTEST_BASE) {
        return;
    }
    if (ticks <= self->compared_ticks) {
        calibration_abandon(self);
        return;
    }
    self->measured = (double)lasted / (double)(ticks - self->compared_ticks);
    if (self->measured < 0.05 || self->measured > 1000.0) {
        /* No counter of nanoseconds' resolution, or none that goes on. */
        calibration_abandon(self);
        return;
    }
    self->phase = RUNNING;
    self->span = FIRST_SPAN;
    calibration_compared(self, ticks, monotonic);
    calibration_go_on(self, ticks, monotonic, self->measured);
}

/* By how much the counter is ahead of the system's clock. */
static double
calibration_error(const Calibration *self, uint64_t ticks, int64_t monotonic)
{
    double elapsed = (double)(int64_t)(ticks - self->ticks) * ((double)self->rate / TWO_TO_32);
    return (double)(self->nanoseconds - monotonic) + elapsed;
}

/* The time between two comparisons has passed: see whether the clocks agree, and go on. */
static void
calibration_compare(Calibration *self, uint64_t ticks, int64_t monotonic)
{
    int64_t lasted = monotonic - self->compared;
    double error = calibration_error(self, ticks, monotonic);
    double allowed = (double)lasted / TOLERANCE + SLACK;
    if (lasted <= 0 || ticks <= self->compared_ticks || error > allowed || error < -allowed) {
        calibration_abandon(self);
        return;
    }
    double measured = (double)lasted / (double)(ticks - self->compared_ticks);
    bool in_use = lasted < 2 * self->span;
    calibration_compared(self, ticks, monotonic);
    if (!in_use) {
        /* Nobody has looked for long, so nobody sees a step.  The rate may not be what it was. */
        self->span = FIRST_SPAN;
        calibration_go_on(self, ticks, monotonic, self->measured);
        return;
    }
    self->measured = measured;
    if (self->span < LONGEST_SPAN) {
        self->span *= 2;
    }
    /* From what would have been read, meet the system's clock at the next comparison. */
    double rate = measured * (1.0 - error / (double)self->span);
    calibration_go_on(self, ticks, monotonic + (int64_t)error, rate);
}

/* The time, by a pair: called where `calibration_read` could not tell. */
static int64_t
calibration_take(Calibration *self, uint64_t ticks, int64_t monotonic)
{
    switch (self->phase) {
    case UNKNOWN:
        calibration_compared(self, ticks, monotonic);
        self->phase = BEGUN;
        break;
    case BEGUN:
        calibration_find_rate(self, ticks, monotonic);
        break;
    case RUNNING:
        calibration_compare(self, ticks, monotonic);
        break;
    case ABANDONED:
        break;
    }
    int64_t now = self->phase == RUNNING ? self->nanoseconds : monotonic;
    if (now < self->latest) {
        now = self->latest;
    }
    return self->latest = now;
}

/* The time at `ticks` into `*now`; false if that needs a pair.  Before the next comparison the
   product is less than a second, shifted by 32: it fits. */
static inline bool
calibration_read(Calibration *self, uint64_t ticks, int64_t *now)
{
    uint64_t elapsed = ticks - self->ticks;
    if (UNLIKELY(elapsed >= self->width)) {
        return false;
    }
    int64_t read = self->nanoseconds + (int64_t)((elapsed * self->rate) >> 32);
    if (UNLIKELY(read < self->latest)) {
        read = self->latest;
    }
    *now = self->latest = read;
    return true;
}

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
    return now.tv_sec * SECOND + now.tv_nsec;
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

/* A calibration of its own, for tests: `read(ticks, monotonic)` is what time it is, where
   `monotonic` is looked at only if it is needed. */
typedef struct {
    PyObject_HEAD
    Calibration calibration;
} CalibrationObject;

static PyObject *
calibration_object_read(PyObject *self, PyObject *args)
{
    Calibration *tried = &((CalibrationObject *)self)->calibration;
    unsigned long long ticks;
    long long monotonic;
    if (!PyArg_ParseTuple(args, "KL", &ticks, &monotonic)) {
        return NULL;
    }
    int64_t now;
    if (!calibration_read(tried, ticks, &now)) {
        now = calibration_take(tried, ticks, monotonic);
    }
    return PyLong_FromLongLong(now);
}

static PyObject *
calibration_object_source(PyObject *self, void *Py_UNUSED(closure))
{
    Phase phase = ((CalibrationObject *)self)->calibration.phase;
    return PyUnicode_FromString(phase == ABANDONED ? "system" : "tsc");
}

static PyMethodDef calibration_methods[] = {
    {"read", calibration_object_read, METH_VARARGS,
     "read(ticks, monotonic): the time, by a reading of both clocks at one moment."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef calibration_getset[] = {
    {"source", calibration_object_source, NULL, "Which clock is read: \"tsc\" or \"system\".",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot calibration_slots[] = {
    {Py_tp_doc, "A calibration of a counter against a clock, to be tried out."},
    {Py_tp_methods, calibration_methods},
    {Py_tp_getset, calibration_getset},
    {0, NULL},
};

static PyType_Spec calibration_spec = {
    .name = "whence._engine.Calibration",
    .basicsize = sizeof(CalibrationObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = calibration_slots,
};

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
    PyTypeObject *type;
    begin_calibration();
    if (add_type(module, &calibration_spec, NULL, &type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, clock_functions);
}
