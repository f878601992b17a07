/*
 * A client in the manner of the C programs that people wrote for VIX: it polls, it waits twice, it
 * works by callbacks alone, it releases more than it holds, it passes the empty texts and the
 * handles of other kinds that were seen to work.
 *
 * usage: sample_client VMX FOLDER
 *
 * VMX is off, with two snapshots in a line, "first" and "second". Clones go below FOLDER.
 */

#define _XOPEN_SOURCE 700

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vix.h"

static int failures = 0;

#define CHECK(condition)                                              \
   do {                                                               \
      if (!(condition)) {                                             \
         fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
         failures++;                                                  \
      }                                                               \
   } while (0)

#define CHECK_CODE(wanted, err)                                       \
   do {                                                               \
      VixError got_ = (err);                                          \
      if (VIX_ERROR_CODE(got_) != (wanted)) {                         \
         fprintf(stderr, "%s:%d: %s is %" FMT64 "u (%s), not %d\n",   \
                 __FILE__, __LINE__, #err, got_,                      \
                 Vix_GetErrorText(got_, NULL), (int)(wanted));        \
         failures++;                                                  \
      }                                                               \
   } while (0)

/* What a client that lives by callbacks keeps until its job has completed. */
typedef struct {
   pthread_mutex_t lock;
   pthread_cond_t changed;
   int completed;
   int found;
   int progress;
   const char *wanted;
   VixError error;
   VixHandle result;
} Context;

static Context *
NewContext(void)
{
   Context *context = (Context *)calloc(1, sizeof *context);
   pthread_mutex_init(&context->lock, NULL);
   pthread_cond_init(&context->changed, NULL);
   return context;
}

static void
FreeContext(Context *context)
{
   free(context);
}

static void
Await(Context *context)
{
   pthread_mutex_lock(&context->lock);
   while (!context->completed) {
      pthread_cond_wait(&context->changed, &context->lock);
   }
   pthread_mutex_unlock(&context->lock);
}

static void
OnItem(Context *context, VixHandle info)
{
   char *path = NULL;
   CHECK(Vix_GetHandleType(info) == VIX_HANDLETYPE_PROPERTY_LIST);
   CHECK_CODE(VIX_OK, Vix_GetProperties(info, VIX_PROPERTY_FOUND_ITEM_LOCATION, &path,
                                        VIX_PROPERTY_NONE));
   /* Others may run VMs at the same time. */
   if (path && context->wanted && strcmp(path, context->wanted) == 0) {
      context->found++;
   }
   Vix_FreeBuffer(path);
}

static void
OnCompleted(Context *context, VixHandle job)
{
   CHECK_CODE(VIX_OK, Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &context->error,
                                        VIX_PROPERTY_NONE));
   if (VIX_SUCCEEDED(context->error)) {
      /* Only some jobs have one. */
      Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &context->result, VIX_PROPERTY_NONE);
   }
}

static void
OnEvent(VixHandle job, VixEventType type, VixHandle info, void *data)
{
   Context *context = (Context *)data;
   CHECK(Vix_GetHandleType(job) == VIX_HANDLETYPE_JOB);
   pthread_mutex_lock(&context->lock);
   CHECK(context->completed == 0);
   if (type == VIX_EVENTTYPE_FIND_ITEM) {
      OnItem(context, info);
   } else if (type == VIX_EVENTTYPE_JOB_PROGRESS) {
      context->progress++;
   } else if (type == VIX_EVENTTYPE_CALLBACK_SIGNALLED) {
      OnCompleted(context, job);
      context->completed++;
      pthread_cond_broadcast(&context->changed);
   } else {
      CHECK(!"an event of no known type");
   }
   pthread_mutex_unlock(&context->lock);
}

static VixHandle
Connect(int version, VixServiceProvider provider)
{
   VixHandle host = VIX_INVALID_HANDLE;
   VixHandle job = VixHost_Connect(version, provider, "", 0, "", "", 0, VIX_INVALID_HANDLE, NULL,
                                   NULL);
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &host, VIX_PROPERTY_NONE));
   Vix_ReleaseHandle(job);
   /* As at the end of many a program, whatever happened before. */
   Vix_ReleaseHandle(job);
   CHECK(Vix_GetHandleType(job) == VIX_HANDLETYPE_NONE);
   CHECK(Vix_GetHandleType(host) == VIX_HANDLETYPE_HOST);
   return host;
}

/* Polls the job, then takes its handle without waiting. */
static VixError
Poll(VixHandle job, VixHandle *result)
{
   Bool done = FALSE;
   VixError err = VIX_OK;
   while (VIX_OK == err && !done) {
      err = VixJob_CheckCompletion(job, &done);
   }
   if (VIX_OK == err) {
      err = VixJob_GetError(job);
   }
   if (VIX_OK == err && result) {
      err = Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE, result, VIX_PROPERTY_NONE);
   }
   Vix_ReleaseHandle(job);
   return err;
}

static VixHandle
Open(VixHandle host, const char *vmx)
{
   VixHandle vm = VIX_INVALID_HANDLE;
   CHECK_CODE(VIX_OK, Poll(VixVM_Open(host, vmx, NULL, NULL), &vm));
   return vm;
}

/* Opens by a callback alone: the job is neither waited for nor released. */
static VixHandle
OpenUnattended(VixHandle host, const char *vmx, VixError wanted)
{
   Context *context = NewContext();
   VixHandle vm;
   VixHost_OpenVM(host, vmx, VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE, OnEvent, context);
   Await(context);
   CHECK_CODE(wanted, context->error);
   vm = context->result;
   CHECK((vm != VIX_INVALID_HANDLE) == (wanted == VIX_OK));
   FreeContext(context);
   return vm;
}

static void
OpenWithPassword(VixHandle host, VixHandle vm, const char *vmx)
{
   VixHandle list = VIX_INVALID_HANDLE;
   VixHandle other = VIX_INVALID_HANDLE;
   VixHandle job;

   CHECK_CODE(VIX_OK, VixPropertyList_AllocPropertyList(host, &list,
                                                        VIX_PROPERTY_VM_ENCRYPTION_PASSWORD,
                                                        "not needed", VIX_PROPERTY_NONE));
   job = VixHost_OpenVM(host, vmx, VIX_VMOPEN_NORMAL, list, NULL, NULL);
   Vix_ReleaseHandle(list);
   CHECK_CODE(VIX_OK, Poll(job, &other));
   CHECK(Vix_GetHandleType(other) == VIX_HANDLETYPE_VM);
   Vix_ReleaseHandle(other);

   /* Any handle will do for a list, and it may be empty. */
   CHECK_CODE(VIX_OK, VixPropertyList_AllocPropertyList(vm, &list, VIX_PROPERTY_NONE));
   CHECK(Vix_GetHandleType(list) == VIX_HANDLETYPE_PROPERTY_LIST);
   Vix_ReleaseHandle(list);
}

static void
Find(VixHandle host, const char *vmx, int running)
{
   Context *context = NewContext();
   int found = 0;
   int i, count;
   char *path = NULL;
   VixPropertyType type = VIX_PROPERTYTYPE_ANY;
   VixHandle job;

   context->wanted = vmx;
   job = VixHost_FindItems(host, VIX_FIND_RUNNING_VMS, VIX_INVALID_HANDLE, -1, OnEvent, context);
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_NONE));
   /* What the callback was given may go now. */
   CHECK(context->completed == 1 && context->found == running);
   FreeContext(context);
   Vix_ReleaseHandle(job);

   /* Without a callback the job has the items. */
   job = VixHost_FindItems(host, VIX_FIND_RUNNING_VMS, VIX_INVALID_HANDLE, -1, NULL, NULL);
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_NONE));
   count = VixJob_GetNumProperties(job, VIX_PROPERTY_FOUND_ITEM_LOCATION);
   CHECK(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_ITEM_NAME) == 0);
   for (i = 0; i < count; i++) {
      CHECK_CODE(VIX_OK, VixJob_GetNthProperties(job, i, VIX_PROPERTY_FOUND_ITEM_LOCATION, &path,
                                                 VIX_PROPERTY_NONE));
      found += path && strcmp(path, vmx) == 0;
      Vix_FreeBuffer(path);
   }
   CHECK(found == running);
   CHECK(VIX_FAILED(VixJob_GetNthProperties(job, count, VIX_PROPERTY_FOUND_ITEM_LOCATION, &path,
                                            VIX_PROPERTY_NONE)));
   CHECK(VIX_FAILED(VixJob_GetNthProperties(job, -1, VIX_PROPERTY_FOUND_ITEM_LOCATION, &path,
                                            VIX_PROPERTY_NONE)));
   if (count) {
      CHECK_CODE(VIX_OK, Vix_GetPropertyType(job, VIX_PROPERTY_FOUND_ITEM_LOCATION, &type));
      CHECK(type == VIX_PROPERTYTYPE_STRING);
   }
   Vix_ReleaseHandle(job);
}

/* Goes up from a snapshot for as long as that succeeds; returns how many there are. */
static int
CountUp(VixHandle snapshot)
{
   VixHandle parent = VIX_INVALID_HANDLE;
   int count = 1;
   while (VIX_OK == VixSnapshot_GetParent(snapshot, &parent)) {
      Vix_ReleaseHandle(snapshot);
      snapshot = parent;
      count++;
   }
   Vix_ReleaseHandle(snapshot);
   return count;
}

static int
CountDown(VixHandle snapshot)
{
   int i, children = 0, count = 1;
   VixHandle child = VIX_INVALID_HANDLE;
   CHECK_CODE(VIX_OK, VixSnapshot_GetNumChildren(snapshot, &children));
   for (i = 0; i < children; i++) {
      CHECK_CODE(VIX_OK, VixSnapshot_GetChild(snapshot, i, &child));
      count += CountDown(child);
      Vix_ReleaseHandle(child);
   }
   return count;
}

static void
Walk(VixHandle vm)
{
   int roots = 0;
   char *name = NULL, *description = NULL;
   VixHandle snapshot = VIX_INVALID_HANDLE;

   CHECK_CODE(VIX_OK, VixVM_GetNumRootSnapshots(vm, &roots));
   CHECK(roots == 1);
   CHECK_CODE(VIX_OK, VixVM_GetRootSnapshot(vm, 0, &snapshot));
   CHECK(CountDown(snapshot) == 2);
   CHECK_CODE(VIX_OK, Vix_GetProperties(snapshot, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, &name,
                                        VIX_PROPERTY_SNAPSHOT_DESCRIPTION, &description,
                                        VIX_PROPERTY_NONE));
   CHECK(name && strcmp(name, "first") == 0);
   CHECK(description != NULL);
   Vix_FreeBuffer(name);
   Vix_FreeBuffer(description);
   Vix_ReleaseHandle(snapshot);
   CHECK_CODE(VIX_OK, VixVM_GetCurrentSnapshot(vm, &snapshot));
   CHECK(CountUp(snapshot) == 2);
   CHECK_CODE(VIX_E_SNAPSHOT_NOTFOUND, VixVM_GetNamedSnapshot(vm, "third", &snapshot));
}

/* Clones with a callback and a wait, and takes the handle twice. */
static VixHandle
Clone(VixHandle vm, VixHandle snapshot, VixCloneType type, const char *vmx)
{
   Context *context = NewContext();
   VixHandle one = VIX_INVALID_HANDLE, two = VIX_INVALID_HANDLE;
   VixHandle job = VixVM_Clone(vm, snapshot, type, vmx, 0, VIX_INVALID_HANDLE, OnEvent, context);
   Await(context);
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &one, VIX_PROPERTY_NONE));
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &two, VIX_PROPERTY_NONE));
   CHECK(one == two && context->result == one);
   CHECK(context->completed == 1);
   FreeContext(context);
   Vix_ReleaseHandle(job);
   Vix_ReleaseHandle(two);
   Vix_ReleaseHandle(two);
   CHECK(Vix_GetHandleType(one) == VIX_HANDLETYPE_VM);
   return one;
}

static void
Delete(VixHandle vm)
{
   VixHandle job = VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL);
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_NONE));
   Vix_ReleaseHandle(job);
   job = VixVM_PowerOn(vm, VIX_VMPOWEROP_NORMAL, VIX_INVALID_HANDLE, NULL, NULL);
   CHECK_CODE(VIX_E_VM_NOT_FOUND, VixJob_Wait(job, VIX_PROPERTY_NONE));
   Vix_ReleaseHandle(job);
   Vix_ReleaseHandle(vm);
}

static void
Run(VixHandle host, VixHandle vm, const char *vmx)
{
   VixPowerState state = 0;
   int running = 0;
   VixHandle job = VixVM_PowerOn(vm, VIX_VMPOWEROP_NORMAL, VIX_INVALID_HANDLE, NULL, NULL);
   CHECK_CODE(VIX_OK, VixJob_Wait(job, VIX_PROPERTY_NONE));
   Vix_ReleaseHandle(job);
   CHECK_CODE(VIX_OK, Vix_GetProperties(vm, VIX_PROPERTY_VM_POWER_STATE, &state,
                                        VIX_PROPERTY_VM_IS_RUNNING, &running,
                                        VIX_PROPERTY_NONE));
   /* Without Tools nothing else is set: there are programs that compare. */
   CHECK(state == VIX_POWERSTATE_POWERED_ON && running == 1);
   Find(host, vmx, 1);
   CHECK_CODE(VIX_OK, Poll(VixVM_PowerOff(vm, VIX_VMPOWEROP_NORMAL, NULL, NULL), NULL));
   CHECK_CODE(VIX_E_VM_NOT_RUNNING,
              Poll(VixVM_PowerOff(vm, VIX_VMPOWEROP_NORMAL, NULL, NULL), NULL));
}

/* Asks for what is not there, in ways that must end in an error. */
static void
Mistake(VixHandle host, VixHandle vm)
{
   int number = 7;
   char *text = NULL;
   char foreign = 'x';
   VixHandle none = VIX_INVALID_HANDLE;
   VixHandle job;

   Vix_ReleaseHandle(VIX_INVALID_HANDLE);
   Vix_ReleaseHandle(0x7fffffff);
   Vix_ReleaseHandle(-1);
   Vix_FreeBuffer(NULL);
   /* Two bindings free what is not the library's. */
   Vix_FreeBuffer(&foreign);
   CHECK(foreign == 'x');
   CHECK_CODE(VIX_E_UNRECOGNIZED_PROPERTY,
              Vix_GetProperties(vm, VIX_PROPERTY_HOST_API_VERSION, &number, VIX_PROPERTY_NONE));
   CHECK_CODE(VIX_E_INVALID_HANDLE, Vix_GetProperties(none, VIX_PROPERTY_VM_NAME, &text,
                                                      VIX_PROPERTY_NONE));
   CHECK(number == 7 && text == NULL);
   job = VixVM_PowerOff(host, VIX_VMPOWEROP_NORMAL, NULL, NULL);
   CHECK(Vix_GetHandleType(job) == VIX_HANDLETYPE_JOB);
   CHECK(VIX_FAILED(VixJob_Wait(job, VIX_PROPERTY_NONE)));
   CHECK(VIX_FAILED(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &none, VIX_PROPERTY_NONE)));
   CHECK(none == VIX_INVALID_HANDLE);
   CHECK_CODE(VIX_OK, Vix_GetProperties(job, VIX_PROPERTY_NONE));
   Vix_ReleaseHandle(job);
   CHECK_CODE(VIX_E_INVALID_HANDLE, VixJob_Wait(job, VIX_PROPERTY_NONE));
   CHECK(Vix_GetErrorText(VIX_E_FAIL, "en-us") != NULL);
   CHECK(Vix_GetErrorText((VixError)-1, NULL) != NULL);
   CHECK(Vix_GetErrorText(VIX_OK, NULL) != NULL);
}

int
main(int argc, char **argv)
{
   char path[4096];
   VixHandle host, second, vm, other, clone, snapshot = VIX_INVALID_HANDLE;

   if (argc != 3) {
      fprintf(stderr, "usage: %s VMX FOLDER\n", argv[0]);
      return 2;
   }
   host = Connect(VIX_API_VERSION, VIX_SERVICEPROVIDER_VMWARE_WORKSTATION);
   second = Connect(1, VIX_SERVICEPROVIDER_DEFAULT);
   vm = Open(host, argv[1]);
   OpenWithPassword(host, vm, argv[1]);
   other = OpenUnattended(second, argv[1], VIX_OK);
   OpenUnattended(second, "", VIX_E_INVALID_ARG);
   Find(host, argv[1], 0);
   Walk(vm);
   Mistake(host, vm);

   snprintf(path, sizeof path, "%s/linked/linked.vmx", argv[2]);
   CHECK_CODE(VIX_OK, VixVM_GetNamedSnapshot(other, "first/second", &snapshot));
   /* The snapshot is that of the VM, through whichever handle it came. */
   clone = Clone(vm, snapshot, VIX_CLONETYPE_LINKED, path);
   Run(host, clone, path);
   Delete(clone);
   snprintf(path, sizeof path, "%s/full/full.vmx", argv[2]);
   clone = Clone(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, path);
   Delete(clone);

   VixHost_Disconnect(second);
   CHECK(Vix_GetHandleType(second) == VIX_HANDLETYPE_NONE);
   Find(host, argv[1], 0);
   /* Nobody waits for this one, and what it works on goes. */
   VixVM_LogoutFromGuest(vm, NULL, NULL);
   Vix_ReleaseHandle(vm);
   CHECK_CODE(VIX_E_INVALID_HANDLE,
              Poll(VixVM_PowerOff(vm, VIX_VMPOWEROP_NORMAL, NULL, NULL), NULL));
   VixHost_Disconnect(host);
   /* Late, and two of them again. */
   Vix_ReleaseHandle(host);
   Vix_ReleaseHandle(snapshot);
   Vix_ReleaseHandle(other);
   Vix_ReleaseHandle(vm);
   if (!failures) {
      puts("done");
   }
   return failures ? 1 : 0;
}
