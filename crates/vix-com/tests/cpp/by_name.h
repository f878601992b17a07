/* by_name.h: calls through IDispatch, for com.h. */
#ifndef BY_NAME_H
#define BY_NAME_H

#include <type_traits>

inline VARIANT variant_of(VARTYPE type)
{
    VARIANT made;
    VariantInit(&made);
    made.vt = type;
    return made;
}

inline VARIANT variant(LONG number)
{
    VARIANT made = variant_of(VT_I4);
    made.lVal = number;
    return made;
}

template <class Constant>
    requires std::is_enum_v<Constant> || std::is_same_v<Constant, int> || std::is_same_v<Constant, long long>
VARIANT variant(Constant number)
{
    return variant((LONG)number);
}

inline VARIANT variant(ULONGLONG number)
{
    VARIANT made = variant_of(VT_UI8);
    made.ullVal = number;
    return made;
}

inline VARIANT variant(VARIANT_BOOL flag)
{
    VARIANT made = variant_of(VT_BOOL);
    made.boolVal = flag;
    return made;
}

/* The text stays the caller's. */
inline VARIANT variant(const Text &text)
{
    VARIANT made = variant_of(VT_BSTR);
    made.bstrVal = text;
    return made;
}

inline VARIANT variant(IDispatch *object)
{
    VARIANT made = variant_of(VT_DISPATCH);
    made.pdispVal = object;
    return made;
}

template <class Interface>
VARIANT variant(const Ref<Interface> &object)
{
    return variant((IDispatch *)object);
}

inline VARIANT variant(const VARIANT &value)
{
    return value;
}

/* Where answers go. */
inline VARIANT variant(LONG *number)
{
    VARIANT made = variant_of(VT_BYREF | VT_I4);
    made.plVal = number;
    return made;
}

inline VARIANT variant(VARIANT_BOOL *flag)
{
    VARIANT made = variant_of(VT_BYREF | VT_BOOL);
    made.pboolVal = flag;
    return made;
}

inline VARIANT variant(IDispatch **object)
{
    VARIANT made = variant_of(VT_BYREF | VT_DISPATCH);
    made.ppdispVal = object;
    return made;
}

inline VARIANT variant(VARIANT *value)
{
    VARIANT made = variant_of(VT_BYREF | VT_VARIANT);
    made.pvarVal = value;
    return made;
}

static const IID NO_IID = {};

/* Calls `name`, the arguments in their order, and returns the answer. */
template <class... Given>
VARIANT invoke(IDispatch *object, const char *name, const Given &...given)
{
    const UINT count = sizeof...(given);
    VARIANT in_order[count + 1] = {variant(given)...};
    VARIANT reversed[count + 1];
    for (UINT i = 0; i < count; i++) {
        reversed[i] = in_order[count - 1 - i];
    }
    Text wide_name(name);
    OLECHAR *names = wide_name;
    DISPID id = DISPID_UNKNOWN;
    well(name, object->GetIDsOfNames(NO_IID, &names, 1, LOCALE_USER_DEFAULT, &id));
    DISPPARAMS params = {reversed, nullptr, count, 0};
    VARIANT answer = variant_of(VT_EMPTY);
    EXCEPINFO exception = {};
    UINT bad = 0;
    well(name, object->Invoke(id, NO_IID, LOCALE_USER_DEFAULT, DISPATCH_METHOD, &params, &answer,
                              &exception, &bad));
    return answer;
}

inline void expect_type(const char *name, const VARIANT &answer, VARTYPE type)
{
    if (answer.vt != type) {
        printf("%s answers a VARIANT of type %d, not %d\n", name, answer.vt, type);
        exit(1);
    }
}

template <class Answer>
Answer answer(const char *name, const VARIANT &answer);

#define ANSWERS(Answer, type, member)                                  \
    template <>                                                        \
    inline Answer answer<Answer>(const char *name, const VARIANT &got) \
    {                                                                  \
        expect_type(name, got, type);                                  \
        return got.member;                                             \
    }
ANSWERS(LONG, VT_I4, lVal)
ANSWERS(SHORT, VT_I2, iVal)
ANSWERS(bool, VT_BOOL, boolVal != VARIANT_FALSE)
ANSWERS(ULONGLONG, VT_UI8, ullVal)
ANSWERS(BSTR, VT_BSTR, bstrVal)
ANSWERS(IDispatch *, VT_DISPATCH, pdispVal)

inline void nothing(const char *name, const VARIANT &answer)
{
    expect_type(name, answer, VT_EMPTY);
}

#endif
