/*
 * vm_basic_types.h: the plain types that vix.h is written in.
 *
 * Part of Replix, written afresh for it. SPDX-License-Identifier: Apache-2.0 OR MIT
 */
#ifndef VM_BASIC_TYPES_H
#define VM_BASIC_TYPES_H

#include <stdint.h>

typedef int8_t int8;
typedef uint8_t uint8;
typedef int16_t int16;
typedef uint16_t uint16;
typedef int32_t int32;
typedef uint32_t uint32;
typedef int64_t int64;
typedef uint64_t uint64;

/* What printf wants before the letter for int64, uint64 and so VixError: "%" FMT64 "d". */
#if defined(_WIN32)
#define FMT64 "I64"
#elif defined(__LP64__) && !defined(__APPLE__)
#define FMT64 "l"
#else
#define FMT64 "ll"
#endif

/* A truth value of one byte. X.Org's headers define a Bool of their own and say so by this name. */
#ifndef _XTYPEDEF_BOOL
#define _XTYPEDEF_BOOL
typedef char Bool;
#endif

#ifndef FALSE
#define FALSE 0
#endif

#ifndef TRUE
#define TRUE 1
#endif

/* Whether the integer x is TRUE or FALSE; x is evaluated once. */
#define IsBool(x) (((x) | 1) == 1)

#endif
