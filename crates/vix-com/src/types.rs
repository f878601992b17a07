//! What COM passes to methods. These types can be made by a call from COM alone: whoever holds one may
//! rely on what COM asks of callers, until the call returns.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{NonNull, null_mut};

use vix::Text;
use vix::constants::VIX_INVALID_HANDLE;
use windows::Win32::Foundation::{E_INVALIDARG, E_POINTER};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, Interface, Result};

use crate::interfaces::IHeld;

/// A `BSTR` that is lent: null, or a text with its length before it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct InText(*const u16);

impl InText {
    /// Returns a copy.
    pub(crate) fn read(self) -> Text {
        if self.0.is_null() {
            return Text::Null;
        }
        // SAFETY: by the type, it is a BSTR; it stays the caller's.
        let text = unsafe { ManuallyDrop::new(BSTR::from_raw(self.0)) };
        match String::from_utf16(&text) {
            Ok(text) => Text::Some(text),
            Err(_) => Text::Malformed,
        }
    }
}

/// A `VARIANT` that is lent.
#[repr(transparent)]
pub struct InVariant(ManuallyDrop<VARIANT>);

impl InVariant {
    pub(crate) fn get(&self) -> &VARIANT {
        &self.0
    }
}

/// An interface that is lent, or null.
#[repr(transparent)]
pub struct In<I>(*mut c_void, PhantomData<I>);

impl<I> Clone for In<I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I> Copy for In<I> {}

impl<I: Interface> In<I> {
    /// Returns a reference of our own.
    pub(crate) fn get(&self) -> Option<I> {
        // SAFETY: by the type, it is null or a pointer to this interface.
        unsafe { I::from_raw_borrowed(&self.0) }.cloned()
    }

    /// Lends an interface, or none; it must outlive the call that it is lent to.
    pub(crate) fn lend(object: Option<&I>) -> Self {
        Self(object.map_or(null_mut(), I::as_raw), PhantomData)
    }

    /// Returns the number of one of our objects, `VIX_INVALID_HANDLE` for null.
    ///
    /// # Errors
    /// `E_INVALIDARG` for an object that is not from here.
    pub(crate) fn number(&self) -> Result<vix::Handle> {
        let Some(object) = self.get() else {
            return Ok(VIX_INVALID_HANDLE);
        };
        let held: IHeld = object.cast().map_err(|_| E_INVALIDARG)?;
        // SAFETY: nobody else answers this interface.
        Ok(unsafe { held.Number() })
    }
}

/// The address of a variable that takes a result, or null. What is in the variable before has no meaning.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T: Default> Out<T> {
    /// Returns the variable, with nothing in it yet.
    ///
    /// # Errors
    /// `E_POINTER` for null.
    pub(crate) fn variable(self) -> Result<Variable<T>> {
        let variable = NonNull::new(self.0).ok_or(E_POINTER)?;
        // SAFETY: by the type, the variable is there.
        unsafe { variable.write(T::default()) };
        Ok(Variable(variable))
    }
}

/// A variable that takes a result.
pub(crate) struct Variable<T>(NonNull<T>);

impl<T> Variable<T> {
    pub(crate) fn set(self, value: T) {
        // SAFETY: by the type that it was made from, the variable is there, and holds nothing.
        unsafe { self.0.write(value) };
    }
}

/// The address of a variable that takes an interface, or null.
pub type OutObject<I> = Out<Option<I>>;

/// The `propertiesArray` of a caller's: a variant to be replaced, or null.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Results(*mut VARIANT);

impl Results {
    /// Empties the variant and returns it.
    ///
    /// # Errors
    /// `E_POINTER` for null.
    pub(crate) fn emptied(self) -> Result<Variable<VARIANT>> {
        let variant = NonNull::new(self.0).ok_or(E_POINTER)?;
        // SAFETY: by the type, it is a variant of the caller's, who lets us replace it.
        drop(unsafe { variant.replace(VARIANT::default()) });
        Ok(Variable(variant))
    }
}
