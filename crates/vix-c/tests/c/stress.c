/*
 * stress.c: eight threads, each with JOBS jobs that it waits for, polls, forgets or hears of.
 *
 * stress NAME JOBS
 */
#include "check.h"

#include <pthread.h>

#define THREADS 8

/* What a callback is given; it goes as soon as the library may not use it any more. */
typedef struct Data {
    int completions;
    /* What the callback does besides, and whether it ends the data itself. */
    int does;
    int owned;
} Data;

typedef struct Client {
    pthread_t thread;
    unsigned random;
    long jobs;
} Client;

/* The jobs of which a callback has yet to hear. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;
static long unheard = 0;

static void count(int change)
{
    pthread_mutex_lock(&mutex);
    unheard += change;
    pthread_cond_signal(&heard);
    pthread_mutex_unlock(&mutex);
}

static VixHandle connecting(VixEventProc *procedure, void *data)
{
    return VixHost_Connect(VIX_API_VERSION, VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, NULL, 0, NULL,
                           NULL, 0, VIX_INVALID_HANDLE, procedure, data);
}

static unsigned draw(Client *client, unsigned below)
{
    client->random = client->random * 1103515245u + 12345u;
    return (client->random >> 16) % below;
}

static void on_event(VixHandle job, VixEventType event, VixHandle info, void *client_data)
{
    Data *data = (Data *)client_data;
    CHECK_NUMBER(info, VIX_INVALID_HANDLE);
    CHECK_NUMBER(data->completions, 0);
    if (event != VIX_EVENTTYPE_JOB_COMPLETED) {
        return;
    }
    data->completions++;
    switch (data->does) {
    case 0:
        CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
        break;
    case 1:
        CHECK_JOB(connecting(NULL, NULL), VIX_OK);
        break;
    case 2:
        CHECK_ERROR(VixJob_GetError(job), VIX_OK);
        break;
    default:
        break;
    }
    if (data->owned) {
        Vix_ReleaseHandle(job);
        free(data);
        count(-1);
    }
}

static Data *new_data(Client *client, int owned)
{
    Data *data = (Data *)calloc(1, sizeof *data);
    CHECK(data != NULL);
    data->does = (int)draw(client, 4);
    data->owned = owned;
    return data;
}

/* The callback ends all; the client forgets the job. */
static void hear(Client *client)
{
    count(1);
    connecting(on_event, new_data(client, 1));
}

static void wait_for(Client *client)
{
    Data *data = new_data(client, 0);
    VixHandle job = connecting(on_event, data);
    VixHandle host = VIX_INVALID_HANDLE;
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &host, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_NUMBER(data->completions, 1);
    free(data);
    Vix_ReleaseHandle(job);
    CHECK_NUMBER(Vix_GetHandleType(job), VIX_HANDLETYPE_NONE);
    CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_HOST);
    VixHost_Disconnect(host);
    CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_NONE);
}

static void poll_for(Client *client)
{
    VixHandle job = connecting(NULL, NULL);
    Bool complete = FALSE;
    (void)client;
    while (!complete) {
        CHECK_ERROR(VixJob_CheckCompletion(job, &complete), VIX_OK);
    }
    CHECK_ERROR(VixJob_GetError(job), VIX_OK);
    Vix_ReleaseHandle(job);
}

/* Releases it at once, and once too often. */
static void forget(Client *client)
{
    VixHandle job = connecting(NULL, NULL);
    (void)client;
    Vix_ReleaseHandle(job);
    Vix_ReleaseHandle(job);
}

static void *work(void *argument)
{
    static void (*const ways[])(Client *) = {hear, wait_for, poll_for, forget};
    Client *client = (Client *)argument;
    long i;
    for (i = 0; i < client->jobs; i++) {
        ways[draw(client, 4)](client);
    }
    return NULL;
}

static void many_jobs(VixHandle host, char **args)
{
    Client clients[THREADS];
    int i;
    (void)host;
    for (i = 0; i < THREADS; i++) {
        clients[i].random = (unsigned)i + 1;
        clients[i].jobs = strtol(args[0], NULL, 10);
        CHECK(pthread_create(&clients[i].thread, NULL, work, &clients[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(clients[i].thread, NULL) == 0);
    }
    pthread_mutex_lock(&mutex);
    while (unheard > 0) {
        pthread_cond_wait(&heard, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"many_jobs", many_jobs}, {NULL, NULL}};
    return run_test(tests, argc, argv);
}
