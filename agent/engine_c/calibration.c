/* Keeping time by a counter that is compared with the system's clock.

   - The two are compared once a second, in the reading that notices.  A difference is made up for
     over the next second, by going slightly faster or slower: time makes no step, and never goes
     backwards.
   - As soon as they disagree (a suspended or migrated machine), it is the system's clock, for good.
   - All this is of pairs (ticks of the counter, nanoseconds of the system's clock) and of nothing
     else, so hours of them can be tried out in no time. */

#include "calibration.h"

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

int64_t
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

/* ---- as Python sees it ---- */

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

int
calibration_add(PyObject *module)
{
    PyTypeObject *type;
    return add_type(module, &calibration_spec, NULL, &type);
}
