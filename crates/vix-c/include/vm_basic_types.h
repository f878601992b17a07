/*
 * vm_basic_types.h: the plain types that vix.h is written in.
 *
 * Part of Replix, written afresh for it. SPDX-License-Identifier: Apache-2.0 OR MIT
 */
#ifndef VM_BASIC_TYPES_H
#define VM_BASIC_TYPES_H

#include <stdint.h>

typedef int32_t int32;
typedef uint32_t uint32;
typedef int64_t int64;
typedef uint64_t uint64;

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
