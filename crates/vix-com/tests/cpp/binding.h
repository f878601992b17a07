/*
 * binding.h: one way to write a VIX client, three to compile it: with BY_SLOT, the COM library through
 * the tables of functions that VixCOM.h declares; with BY_NAME, the same through IDispatch, as scripts
 * do; with neither, the C library.
 *
 * A program has
 *   Host, Vm, Snapshot, Job      references to objects, copied and released as values
 *   T(text), NO_TEXT             arguments: texts in UTF-8
 *   NO_LIST, NO_SNAPSHOT         arguments: objects that are not given
 *   NO_CALLBACK, CALL(listener)  arguments: who is called
 *   HOST_JOB, VM_JOB             (object, method, arguments...): starts a job
 *   VM_GET, SNAPSHOT_GET         (object, method, arguments...): an error, the last argument being where
 *                                the answer goes
 *   and the functions that both headers have. They are named as the methods of COM.
 */
#ifndef BINDING_H
#define BINDING_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

typedef unsigned long long Error;

/* Who is called about a job: what it was told. */
struct Told {
    int completed = 0;
    int progress = 0;
    /* Events of other kinds, after the completion, or with what no event has. */
    int wrong = 0;
    /* The job's error at its completion. */
    Error error = ~0ull;
    /* The files of the found VMs, each followed by a blank. */
    std::string found;
};

inline std::string number(unsigned long long value)
{
    return std::to_string(value);
}

inline std::string quoted(const std::string &text)
{
    return "\"" + text + "\"";
}

#if defined(BY_SLOT) || defined(BY_NAME)
#include "com.h"
#else
#include "c_library.h"
#endif

/* Ends the program unless `error` is none. */
inline void succeed(const char *what, Error error)
{
    if (error != 0) {
        printf("%s: error %llu, %s\n", what, error, error_text(error).c_str());
        exit(1);
    }
}

/* Ends a job and returns the object that it made; ends the program if it failed. */
template <class Made>
Made made_by(const char *what, const Job &job)
{
    succeed(what, wait(job));
    return result_of<Made>(job);
}

/* Connects to this machine as clients of Workstation do. */
inline Host here()
{
    return made_by<Host>("connect", connecting(VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, 0, NO_CALLBACK));
}

#endif
