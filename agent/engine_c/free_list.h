/* Memory of objects that have gone, for the next ones of the same type: a batch lets go of
   thousands at once, and making as many anew would have the collector look at the program each
   time.

   - A list is of objects of exactly one type, which the collector may be told of; it is not while
     they are here.
   - Last in, first out: what has just gone is in the processor's cache. */

#ifndef WHENCE_FREE_LIST_H
#define WHENCE_FREE_LIST_H

#include "engine.h"

typedef struct {
    PyObject **kept;
    int number;
    int most;
} FreeList;

#define FREE_LIST(array) {array, 0, Py_ARRAY_LENGTH(array)}

/* An object with the fields that it was kept with and one reference; NULL if there is none. */
static inline PyObject *
free_list_take(FreeList *list, PyTypeObject *type)
{
    return LIKELY(list->number > 0) ? PyObject_Init(list->kept[--list->number], type) : NULL;
}

/* Keep the memory of an object; false if there is enough. */
static inline bool
free_list_keep(FreeList *list, PyObject *object)
{
    if (UNLIKELY(list->number >= list->most)) {
        return false;
    }
    list->kept[list->number++] = object;
    return true;
}

/* Fetch the one that is taken `ahead` times from now. */
static inline void
free_list_prefetch(const FreeList *list, int ahead, size_t size)
{
    if (list->number > ahead) {
        prefetch_object(list->kept[list->number - 1 - ahead], size);
    }
}

#endif
