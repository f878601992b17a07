//! Properties: read into a client's variables, and put into lists.

use std::ffi::c_int;

use vix::constants::*;
use vix::{Record, Value, type_of};

use crate::buffer::Buffer;
use crate::guard::{error_of, store};
use crate::process::library;
use crate::types::{Bool, Out, VixError, VixHandle, VixPropertyID, VixPropertyType};
use crate::variadic::Arguments;

/// Where a client wants the value of a property.
#[derive(Clone, Copy)]
enum Target {
    Integer(Out<c_int>),
    Text(Out<*mut u8>),
    Bool(Out<Bool>),
    Handle(Out<VixHandle>),
    Int64(Out<i64>),
    Blob(Out<c_int>, Out<*mut u8>),
}

/// The properties that a client asks for, and where each goes.
struct Wanted {
    ids: Vec<VixPropertyID>,
    targets: Vec<Target>,
}

impl Wanted {
    /// Reads pairs of an id and an address, or two, until the end mark.
    ///
    /// # Errors
    /// `VIX_E_UNRECOGNIZED_PROPERTY`: what follows an unknown id cannot be told.
    fn read(first: VixPropertyID, rest: &mut Arguments) -> vix::Result<Self> {
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        let mut id = first;
        while id != VIX_PROPERTY_NONE {
            targets.push(Target::read(type_of(id)?, rest));
            ids.push(id);
            id = rest.int();
        }
        Ok(Self { ids, targets })
    }

    /// Stores all values, or none.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG` for a null pointer, `VIX_E_OUT_OF_MEMORY`.
    fn store(self, values: Vec<Value>) -> vix::Result<()> {
        let pairs = self.targets.into_iter().zip(values);
        let ready = pairs.map(|(target, value)| target.ready(value));
        let ready: Vec<_> = ready.collect::<vix::Result<_>>()?;
        ready.into_iter().for_each(|store| store());
        Ok(())
    }
}

impl Target {
    fn read(kind: PropertyType, rest: &mut Arguments) -> Self {
        match kind {
            PropertyType::Integer => Self::Integer(rest.out()),
            PropertyType::String => Self::Text(rest.out()),
            PropertyType::Bool => Self::Bool(rest.out()),
            PropertyType::Handle => Self::Handle(rest.out()),
            PropertyType::Int64 => Self::Int64(rest.out()),
            PropertyType::Blob => Self::Blob(rest.out(), rest.out()),
        }
    }

    /// Returns what stores `value` here, and cannot fail any more. Until it does, the client owns
    /// nothing.
    fn ready(self, value: Value) -> vix::Result<Box<dyn FnOnce()>> {
        Ok(match (self, value) {
            (Self::Integer(out), Value::Integer(value)) => set(out, value)?,
            (Self::Bool(out), Value::Bool(value)) => set(out, Bool::from(value))?,
            (Self::Int64(out), Value::Int64(value)) => set(out, value)?,
            (Self::Text(out), Value::Text(value)) => {
                let (out, text) = (out.variable()?, Buffer::text(value)?);
                Box::new(move || out.set(text.hand_out()))
            }
            (Self::Handle(out), Value::Handle(value)) => {
                let out = out.variable()?;
                Box::new(move || {
                    out.set(value.map_or(VIX_INVALID_HANDLE, |reference| reference.give()));
                })
            }
            (Self::Blob(size, out), Value::Blob(value)) => {
                let (size, out) = (size.variable()?, out.variable()?);
                let length = c_int::try_from(value.len()).map_err(|_| VIX_E_FILE_TOO_BIG)?;
                let block = Buffer::new(&value)?;
                Box::new(move || {
                    size.set(length);
                    out.set(block.hand_out());
                })
            }
            // A value has the type of its property.
            _ => return Err(VIX_E_PROPERTY_TYPE_MISMATCH.into()),
        })
    }
}

fn set<T: Copy + 'static>(out: Out<T>, value: T) -> vix::Result<Box<dyn FnOnce()>> {
    let variable = out.variable()?;
    Ok(Box::new(move || variable.set(value)))
}

/// Reads the pairs of an id and a value until the end mark.
fn record(first: VixPropertyID, rest: &mut Arguments) -> vix::Result<Record> {
    let mut record = Record::new();
    let mut id = first;
    while id != VIX_PROPERTY_NONE {
        record.push((id, value(type_of(id)?, rest)?));
        id = rest.int();
    }
    Ok(record)
}

fn value(kind: PropertyType, rest: &mut Arguments) -> vix::Result<Value> {
    Ok(match kind {
        PropertyType::Integer => Value::Integer(rest.int()),
        PropertyType::String => Value::Text(rest.text().read().given()?),
        PropertyType::Bool => Value::Bool(rest.int() != 0),
        PropertyType::Handle => library().handle_value(rest.int())?,
        PropertyType::Int64 => Value::Int64(rest.int64()),
        PropertyType::Blob => Value::Blob(rest.block().ok_or(VIX_E_INVALID_ARG)?),
    })
}

/// What `Vix_GetProperties` does.
pub(crate) extern "C" fn on_get_properties(
    handle: VixHandle,
    first: VixPropertyID,
    mut rest: Arguments,
) -> VixError {
    error_of(|| {
        let wanted = Wanted::read(first, &mut rest)?;
        let values = library().read(handle, &wanted.ids)?;
        wanted.store(values)
    })
}

/// What `VixJob_Wait` does: whatever is wanted, it waits, and the job's own error comes first.
pub(crate) extern "C" fn on_wait(
    job: VixHandle,
    first: VixPropertyID,
    mut rest: Arguments,
) -> VixError {
    error_of(|| {
        let wanted = Wanted::read(first, &mut rest);
        let ids = wanted.as_ref().map_or(&[][..], |wanted| &wanted.ids);
        let values = library().wait(job, ids)?;
        wanted?.store(values)
    })
}

/// What `VixJob_GetNthProperties` does.
pub(crate) extern "C" fn on_get_nth_properties(
    job: VixHandle,
    index: c_int,
    first: c_int,
    mut rest: Arguments,
) -> VixError {
    error_of(|| {
        let wanted = Wanted::read(first, &mut rest)?;
        let values = library().read_nth(job, index, &wanted.ids)?;
        wanted.store(values)
    })
}

/// What `VixPropertyList_AllocPropertyList` does.
pub(crate) extern "C" fn on_alloc_property_list(
    host: VixHandle,
    result: Out<VixHandle>,
    first: c_int,
    mut rest: Arguments,
) -> VixError {
    store(result, || {
        library().new_list(host, record(first, &mut rest)?)
    })
}

/// Stores the type of a property.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_GetPropertyType(
    handle: VixHandle,
    propertyID: VixPropertyID,
    propertyType: Out<VixPropertyType>,
) -> VixError {
    store(propertyType, || {
        Ok(library().property_type(handle, propertyID)?.number())
    })
}
