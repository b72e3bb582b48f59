/* Keeping time by a counter that is compared with the system's clock: see calibration.c. */

#ifndef WHENCE_CALIBRATION_H
#define WHENCE_CALIBRATION_H

#include "engine.h"

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

/* The time, by a pair: called where `calibration_read` could not tell. */
int64_t calibration_take(Calibration *self, uint64_t ticks, int64_t monotonic);

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

#endif
