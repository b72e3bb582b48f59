/* What lifetimes.c and lifetime_fields.c share: the first has the types, the second what Python
   reads and sets of them. */

#ifndef WHENCE_LIFETIMES_H
#define WHENCE_LIFETIMES_H

#include "engine.h"
#include "structmember.h"

/* An object field, by its offset. */
static inline PyObject **
field_at(PyObject *self, size_t offset)
{
    return (PyObject **)((char *)self + offset);
}

/* The same record again, as a SpanLifetime: a method. */
PyObject *lifetime_copy(PyObject *self, PyObject *ignored);

/* Say which fields a type adds, as `__slots__` does in Python; -1 with an exception set. */
int lifetime_name_fields(PyTypeObject *type);

extern PyMethodDef lifetime_methods[], recorded_methods[];
extern PyMemberDef lifetime_members[], recorded_members[], span_members[];
extern PyGetSetDef lifetime_getset[], recorded_getset[], span_getset[];

#endif
