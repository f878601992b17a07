/*
 * The functions of variable length, docs/adr/0008: what C alone can do is done here, all else in
 * variadic.rs. A client calls VixJob_Wait, which is a jump to replix_wait, which calls
 * replix_on_wait, which is a jump to a function in Rust.
 */
#include <stdarg.h>

#include "vix.h"

/* In a struct, since a va_list by itself may be an array, and so cannot be passed on by address. */
struct arguments {
    va_list rest;
};

VixError replix_on_get_properties(VixHandle handle, VixPropertyID first, struct arguments *arguments);
VixError replix_on_wait(VixHandle job, VixPropertyID first, struct arguments *arguments);
VixError replix_on_get_nth_properties(VixHandle job, int index, int first, struct arguments *arguments);
VixError replix_on_alloc_property_list(VixHandle host, VixHandle *result, int first,
                                       struct arguments *arguments);

/* A Bool arrives as an int, too: arguments of variable length are promoted. */
int replix_next_int(struct arguments *arguments)
{
    return va_arg(arguments->rest, int);
}

int64 replix_next_int64(struct arguments *arguments)
{
    return va_arg(arguments->rest, int64);
}

void *replix_next_pointer(struct arguments *arguments)
{
    return va_arg(arguments->rest, void *);
}

VixError replix_get_properties(VixHandle handle, VixPropertyID first, ...)
{
    struct arguments arguments;
    VixError error;

    va_start(arguments.rest, first);
    error = replix_on_get_properties(handle, first, &arguments);
    va_end(arguments.rest);
    return error;
}

VixError replix_wait(VixHandle job, VixPropertyID first, ...)
{
    struct arguments arguments;
    VixError error;

    va_start(arguments.rest, first);
    error = replix_on_wait(job, first, &arguments);
    va_end(arguments.rest);
    return error;
}

VixError replix_get_nth_properties(VixHandle job, int index, int first, ...)
{
    struct arguments arguments;
    VixError error;

    va_start(arguments.rest, first);
    error = replix_on_get_nth_properties(job, index, first, &arguments);
    va_end(arguments.rest);
    return error;
}

VixError replix_alloc_property_list(VixHandle host, VixHandle *result, int first, ...)
{
    struct arguments arguments;
    VixError error;

    va_start(arguments.rest, first);
    error = replix_on_alloc_property_list(host, result, first, &arguments);
    va_end(arguments.rest);
    return error;
}
