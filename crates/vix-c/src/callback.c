/*
 * How a client's procedure is called: a thread that is told to end in it comes back all the same.
 *
 * Python up to 3.13 ends threads by pthread_exit that enter it while it shuts down. That unwinds the
 * thread's stack, through the library's frames in Rust, where the process would be aborted. Here it
 * goes no further than the frame that called the client.
 */
#include <pthread.h>
#include <setjmp.h>

#include "vix.h"

static void come_back(void *frame)
{
    _longjmp(*(jmp_buf *)frame, 1);
}

/* Returns whether the procedure has returned; if not, the client wanted the thread to end. */
int replix_call_back(VixEventProc *procedure, VixHandle job, VixEventType type, VixHandle info,
                     void *data)
{
    jmp_buf frame;
    volatile int returned = 0;

    pthread_cleanup_push(come_back, &frame);
    if (_setjmp(frame) == 0) {
        procedure(job, type, info, data);
        returned = 1;
    }
    pthread_cleanup_pop(0);
    return returned;
}
