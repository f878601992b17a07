/*
 * listener.h: a procedure for events that notes what it is called with, and a way to wait for it.
 * Include it after check.h.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <pthread.h>

/* What a procedure was called with so far. */
typedef struct Listener {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Calls by kind of event. */
    int progress;
    int found;
    int completed;
    /* Calls after the completion, or with arguments that no rule allows. */
    int wrong;
    /* The job, as each call had it. */
    VixHandle job;
    /* The thread of the last call. */
    pthread_t thread;
    /* What the job's properties said at its completion. */
    VixError error;
    VixHandle result;
    /* The list and the text of the last found item, the text to be freed. */
    VixHandle item;
    char *location;
    /* What else is done at the completion, if anything; and what that is to know. */
    void (*then)(struct Listener *listener, VixHandle job);
    VixHandle with;
} Listener;

HELPER void listener_init(Listener *listener)
{
    memset(listener, 0, sizeof *listener);
    pthread_mutex_init(&listener->mutex, NULL);
    pthread_cond_init(&listener->changed, NULL);
    listener->error = (VixError)-1;
}

HELPER void listener_end(Listener *listener)
{
    Vix_FreeBuffer(listener->location);
    pthread_cond_destroy(&listener->changed);
    pthread_mutex_destroy(&listener->mutex);
}

/* Reads the results of a job that has just been completed. */
HELPER void note_results(Listener *listener, VixHandle job)
{
    int64 error = -1;
    VixError read = Vix_GetProperties(job,
                                      VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &error,
                                      VIX_PROPERTY_NONE);
    CHECK_ERROR(read, VIX_OK);
    CHECK_ERROR(VixJob_GetError(job), (VixError)error);
    listener->error = (VixError)error;
    if (VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE) > 0) {
        read = Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &listener->result,
                                 VIX_PROPERTY_NONE);
        CHECK_ERROR(read, VIX_OK);
    }
}

/* Reads what a found item is. */
HELPER void note_item(Listener *listener, VixHandle item)
{
    CHECK_NUMBER(Vix_GetHandleType(item), VIX_HANDLETYPE_PROPERTY_LIST);
    Vix_FreeBuffer(listener->location);
    listener->location = text_of(item, VIX_PROPERTY_FOUND_ITEM_LOCATION);
    listener->item = item;
}

#ifdef __cplusplus
extern "C" {
#endif

/* The procedure; its client data is the listener. */
HELPER void listen(VixHandle job, VixEventType event, VixHandle info, void *data)
{
    Listener *listener = (Listener *)data;
    Bool complete = FALSE;
    CHECK_NUMBER(Vix_GetHandleType(job), VIX_HANDLETYPE_JOB);
    CHECK_ERROR(VixJob_CheckCompletion(job, &complete), VIX_OK);
    pthread_mutex_lock(&listener->mutex);
    listener->wrong += listener->completed;
    listener->wrong += listener->job != VIX_INVALID_HANDLE && listener->job != job;
    listener->wrong += complete != (event == VIX_EVENTTYPE_JOB_COMPLETED);
    listener->wrong += (info != VIX_INVALID_HANDLE) != (event == VIX_EVENTTYPE_FIND_ITEM);
    listener->job = job;
    listener->thread = pthread_self();
    switch (event) {
    case VIX_EVENTTYPE_JOB_PROGRESS:
        listener->progress++;
        break;
    case VIX_EVENTTYPE_FIND_ITEM:
        listener->found++;
        note_item(listener, info);
        break;
    case VIX_EVENTTYPE_JOB_COMPLETED:
        note_results(listener, job);
        if (listener->then != NULL) {
            listener->then(listener, job);
        }
        listener->completed++;
        break;
    default:
        listener->wrong++;
    }
    pthread_cond_broadcast(&listener->changed);
    pthread_mutex_unlock(&listener->mutex);
}

#ifdef __cplusplus
}
#endif

/* Waits until the completion was heard. */
HELPER void await_completion(Listener *listener)
{
    pthread_mutex_lock(&listener->mutex);
    while (!listener->completed) {
        pthread_cond_wait(&listener->changed, &listener->mutex);
    }
    pthread_mutex_unlock(&listener->mutex);
}

/* Checks that the listener heard of one completion, last, with this error. */
HELPER void check_heard(Listener *listener, VixError error)
{
    pthread_mutex_lock(&listener->mutex);
    CHECK_NUMBER(listener->completed, 1);
    CHECK_NUMBER(listener->wrong, 0);
    CHECK_ERROR(listener->error, error);
    pthread_mutex_unlock(&listener->mutex);
}

#endif
