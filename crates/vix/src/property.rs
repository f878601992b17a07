//! Properties: ids, types, values, and the lists that clients make of them.

use crate::constants::*;
use crate::error::Result;
use crate::table::Reference;

/// The value of a property.
#[derive(Clone, Debug)]
pub enum Value {
    /// `VIX_PROPERTYTYPE_INTEGER`.
    Integer(i32),
    /// `VIX_PROPERTYTYPE_STRING`.
    Text(String),
    /// `VIX_PROPERTYTYPE_BOOL`.
    Bool(bool),
    /// `VIX_PROPERTYTYPE_HANDLE`; `None` is `VIX_INVALID_HANDLE`. Give it to the client to let it
    /// outlive this value.
    Handle(Option<Reference>),
    /// `VIX_PROPERTYTYPE_INT64`.
    Int64(i64),
    /// `VIX_PROPERTYTYPE_BLOB`.
    Blob(Vec<u8>),
}

impl Value {
    /// Returns the type.
    pub(crate) fn kind(&self) -> PropertyType {
        match self {
            Self::Integer(_) => PropertyType::Integer,
            Self::Text(_) => PropertyType::String,
            Self::Bool(_) => PropertyType::Bool,
            Self::Handle(_) => PropertyType::Handle,
            Self::Int64(_) => PropertyType::Int64,
            Self::Blob(_) => PropertyType::Blob,
        }
    }
}

/// Values by id: one result of a job, or what a list or an event carries.
pub type Record = Vec<(i32, Value)>;

/// Returns the value with this id.
pub(crate) fn value_of(record: &Record, id: i32) -> Option<&Value> {
    record
        .iter()
        .find(|(of, _)| *of == id)
        .map(|(_, value)| value)
}

/// Returns the type of a property, whatever carries it.
///
/// # Errors
/// `VIX_E_UNRECOGNIZED_PROPERTY`.
pub fn type_of(id: i32) -> Result<PropertyType> {
    Ok(row_of(id)?.kind)
}

/// Returns the type of a property of a handle of this kind.
///
/// # Errors
/// `VIX_E_UNRECOGNIZED_PROPERTY` also where such a handle does not carry it.
pub(crate) fn type_on(carrier: Carrier, id: i32) -> Result<PropertyType> {
    let row = row_of(id)?;
    match row.carriers.contains(&carrier) {
        true => Ok(row.kind),
        false => Err(VIX_E_UNRECOGNIZED_PROPERTY.into()),
    }
}

fn row_of(id: i32) -> Result<&'static PropertyRow> {
    let row = PROPERTIES.iter().find(|row| row.id == id);
    row.ok_or_else(|| VIX_E_UNRECOGNIZED_PROPERTY.into())
}

/// A property list: what a client hands to a call, or an event tells.
#[derive(Default)]
pub(crate) struct List(Record);

impl List {
    pub(crate) fn new(record: Record) -> Self {
        Self(record)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value with this id.
    ///
    /// # Errors
    /// `VIX_E_UNRECOGNIZED_PROPERTY`.
    pub(crate) fn read(&self, id: i32) -> Result<Value> {
        let value = value_of(&self.0, id).cloned();
        value.ok_or_else(|| VIX_E_UNRECOGNIZED_PROPERTY.into())
    }
}
