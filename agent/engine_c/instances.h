/* Where the interpreter keeps the attributes of an instance of a class in Python.

   Most instances have no dictionary: their values stand in an array, in the order of the keys that
   all instances of the class share.  A key once shared keeps its place, so who has found it need not
   look it up again.  An instance whose dictionary somebody has asked for may have no such array.  From
   3.13 on, one of a class with slots always has a dictionary, which keeps its values in the same way.

   This file, and no other, knows what that looks like in each Python. */

#ifndef WHENCE_INSTANCES_H
#define WHENCE_INSTANCES_H

#define Py_BUILD_CORE_MODULE 1

#include "engine.h"

#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include "internal/pycore_dict.h"
#include "internal/pycore_object.h"
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif

#if PY_VERSION_HEX >= 0x030D0000
/* Of its dictionary, while that shares the keys of the class; else NULL. */
static inline PyObject **
dictionary_values(PyObject *instance)
{
    PyTypeObject *type = Py_TYPE(instance);
    if (!PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)
        || !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        return NULL;
    }
    PyDictObject *dict = _PyObject_GetManagedDict(instance);
    return dict != NULL && dict->ma_values != NULL
                   && dict->ma_keys == ((PyHeapTypeObject *)type)->ht_cached_keys
               ? dict->ma_values->values
               : NULL;
}
#endif

/* Its values: borrowed, an empty place is NULL; or NULL if they are kept in another way. */
static inline PyObject **
instance_values(PyObject *instance)
{
#if PY_VERSION_HEX >= 0x030D0000
    if (!PyType_HasFeature(Py_TYPE(instance), Py_TPFLAGS_INLINE_VALUES)) {
        return dictionary_values(instance);
    }
    PyDictValues *values = _PyObject_InlineValues(instance);
    return values->valid ? values->values : NULL;
#else
    if (!PyType_HasFeature(Py_TYPE(instance), Py_TPFLAGS_MANAGED_DICT)) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues kept = *_PyObject_DictOrValuesPointer(instance);
    return _PyDictOrValues_IsValues(kept) ? _PyDictOrValues_GetValues(kept)->values : NULL;
#else
    PyDictValues *values = *_PyObject_ValuesPointer(instance);
    return values == NULL ? NULL : values->values;
#endif
#endif
}

/* How many keys the instances of a class share: it grows, and each keeps its place. */
static inline Py_ssize_t
shared_keys(PyTypeObject *type)
{
    PyDictKeysObject *keys = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
                                 ? ((PyHeapTypeObject *)type)->ht_cached_keys
                                 : NULL;
    return keys == NULL || !DK_IS_UNICODE(keys) ? 0 : keys->dk_nentries;
}

/* One of them: borrowed. */
static inline PyObject *
shared_key(PyTypeObject *type, Py_ssize_t place)
{
    return DK_UNICODE_ENTRIES(((PyHeapTypeObject *)type)->ht_cached_keys)[place].me_key;
}

/* The place of an interned key among them; -1 if it is not there. */
static inline Py_ssize_t
place_of_key(PyTypeObject *type, PyObject *key)
{
    for (Py_ssize_t place = shared_keys(type) - 1; place >= 0; place--) {
        if (shared_key(type, place) == key) {
            return place;
        }
    }
    return -1;
}

/* What an instance has under this name, whatever its class has, by looking it up: borrowed from it;
   NULL if nothing.

   Not by the dictionary but in 3.13: before, an instance that has been asked for it is slow to look up
   anything from then on. */
static inline PyObject *
instance_look_up(PyObject *instance, PyObject *name)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject **dict = _PyObject_GetDictPtr(instance);
    PyObject *value = dict == NULL || *dict == NULL ? NULL : PyDict_GetItemWithError(*dict, name);
    if (UNLIKELY(value == NULL && PyErr_Occurred())) {
        PyErr_Clear();
    }
    return value;
#else
    PyObject *value;
    if (_PyObject_GetMethod(instance, name, &value) == 1) {
        /* Of its class. */
        Py_DECREF(value);
        return NULL;
    }
    if (UNLIKELY(value == NULL)) {
        PyErr_Clear();
        return NULL;
    }
    Py_DECREF(value);
    return value;
#endif
}

/* The same of an interned name; `*place` is where it was found last. */
static inline PyObject *
instance_field(PyObject *instance, PyObject *name, Py_ssize_t *place)
{
    PyTypeObject *type = Py_TYPE(instance);
    PyObject **values = instance_values(instance);
    if (UNLIKELY(values == NULL)) {
        return instance_look_up(instance, name);
    }
    if (UNLIKELY(*place < 0 || *place >= shared_keys(type)
                 || shared_key(type, *place) != name)) {
        *place = place_of_key(type, name);
    }
    return *place < 0 ? NULL : values[*place];
}

/* Of a dictionary: another one whenever it has changed, and one that no other has. */
static inline uint64_t
dictionary_version(PyObject *dict)
{
    return ((PyDictObject *)dict)->ma_version_tag;
}

#endif
