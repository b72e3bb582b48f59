/* The rows of the table of resource types, as far as every event reads and counts in them.

   Twin of the fields of agent/engine/resource_types.py; the table itself is made there. */

#include "engine.h"
#include "structmember.h"

PyTypeObject *ResourceType_Type;

void
resource_type_destroyed(ResourceType *row, PyObject *outcome)
{
    row->destroyed += 1;
    if (outcome == DONE || row->otherwise == NULL || !PyDict_CheckExact(row->otherwise)) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *known = PyDict_GetItemWithError(row->otherwise, outcome);
    long long number = known == NULL ? 0 : PyLong_AsLongLong(known);
    PyObject *more = PyLong_FromLongLong(number + 1);
    if (more != NULL) {
        PyDict_SetItem(row->otherwise, outcome, more);
        Py_DECREF(more);
    }
    PyErr_Clear();
    pending_restore(&pending);
}

static int
resource_type_traverse(PyObject *self, visitproc visit, void *arg)
{
    ResourceType *row = (ResourceType *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(row->otherwise);
    Py_VISIT(row->turns);
    Py_VISIT(row->queue);
    return 0;
}

static int
resource_type_clear(PyObject *self)
{
    ResourceType *row = (ResourceType *)self;
    Py_CLEAR(row->otherwise);
    Py_CLEAR(row->queue);
    return 0;
}

static void
resource_type_dealloc(PyObject *self)
{
    ResourceType *row = (ResourceType *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    resource_type_clear(self);
    Py_CLEAR(row->name);
    Py_CLEAR(row->turns);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
resource_type_get_turns(PyObject *self, void *Py_UNUSED(closure))
{
    Turns *turns = ((ResourceType *)self)->turns;
    return Py_NewRef(turns == NULL ? Py_None : (PyObject *)turns);
}

static int
resource_type_set_turns(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyObject_TypeCheck(value, Turns_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected Turns");
        return -1;
    }
    Py_XSETREF(((ResourceType *)self)->turns, (Turns *)Py_NewRef(value));
    return 0;
}

static PyMemberDef resource_type_members[] = {
    {"name", T_OBJECT, offsetof(ResourceType, name), 0, NULL},
    {"number", T_LONGLONG, offsetof(ResourceType, number), 0, NULL},
    {"created", T_LONGLONG, offsetof(ResourceType, created), 0, NULL},
    {"destroyed", T_LONGLONG, offsetof(ResourceType, destroyed), 0, NULL},
    {"leaked", T_LONGLONG, offsetof(ResourceType, leaked), 0, NULL},
    {"otherwise", T_OBJECT, offsetof(ResourceType, otherwise), 0, NULL},
    {"queue", T_OBJECT, offsetof(ResourceType, queue), 0, NULL},
    {"transparent", T_BOOL, offsetof(ResourceType, transparent), 0, NULL},
    {"spans", T_BOOL, offsetof(ResourceType, spans), 0, NULL},
    {"boundary", T_BOOL, offsetof(ResourceType, boundary), 0, NULL},
    {"container", T_BOOL, offsetof(ResourceType, container), 0, NULL},
    {"once", T_BOOL, offsetof(ResourceType, once), 0, NULL},
    {"on_loop", T_BOOL, offsetof(ResourceType, on_loop), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef resource_type_getset[] = {
    {"turns", resource_type_get_turns, resource_type_set_turns, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot resource_type_slots[] = {
    {Py_tp_doc, "The fields of whence.engine.resource_types.ResourceType."},
    {Py_tp_traverse, resource_type_traverse},
    {Py_tp_clear, resource_type_clear},
    {Py_tp_dealloc, resource_type_dealloc},
    {Py_tp_members, resource_type_members},
    {Py_tp_getset, resource_type_getset},
    {0, NULL},
};

static PyType_Spec resource_type_spec = {
    .name = "whence._engine.ResourceType",
    .basicsize = sizeof(ResourceType),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = resource_type_slots,
};

int
resource_types_add(PyObject *module)
{
    return add_type(module, &resource_type_spec, NULL, &ResourceType_Type);
}
