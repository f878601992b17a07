//! Jobs: waiting, how they ended, and what came of them.

use windows::Win32::Foundation::VARIANT_BOOL;
use windows_core::HRESULT;

use crate::guard::{answer, error, refusal, store};
use crate::handle::{Job_Impl, read};
use crate::interfaces::IJob_Impl;
use crate::process::library;
use crate::types::{InVariant, Out, Results};
use crate::wait;

impl Job_Impl {
    /// Waits, and returns the values of `ids` of the first result.
    fn wait(&self, ids: &[i32]) -> vix::Result<Vec<vix::Value>> {
        wait::wait(library().waiter(self.handle())?);
        library().wait(self.handle(), ids)
    }
}

impl IJob_Impl for Job_Impl {
    unsafe fn Wait(&self, ids: InVariant, results: Results, error: Out<u64>) -> HRESULT {
        read(&ids, results, error, |ids| self.wait(ids))
    }

    unsafe fn WaitWithoutResults(&self, error: Out<u64>) -> HRESULT {
        self::error(error, || Ok(self.wait(&[]).map(drop)))
    }

    unsafe fn CheckCompletion(&self, is_complete: Out<VARIANT_BOOL>, error: Out<u64>) -> HRESULT {
        store(is_complete, error, || {
            Ok(library().is_done(self.handle())?.into())
        })
    }

    unsafe fn GetError(&self, error: Out<u64>) -> HRESULT {
        answer(error, || {
            Ok(library()
                .error_of(self.handle())
                .unwrap_or_else(|fault| fault.code))
        })
    }

    unsafe fn GetNumProperties(&self, property_id: i32, number: Out<i32>) -> HRESULT {
        answer(number, || {
            let count = library()
                .count(self.handle(), property_id)
                .map_err(refusal)?;
            Ok(i32::try_from(count).unwrap_or(i32::MAX))
        })
    }

    unsafe fn GetNthProperties(
        &self,
        index: i32,
        ids: InVariant,
        results: Results,
        error: Out<u64>,
    ) -> HRESULT {
        read(&ids, results, error, |ids| {
            library().read_nth(self.handle(), index, ids)
        })
    }
}
