//! Filling a pool: VMs are made until as many are ready as shall be.
//!
//! A VM is remembered before anything of it is there, so that what a killed process leaves is known.

use std::time::{Duration, Instant};

use super::record::{Owner, Record, Stage};
use super::{Booted, Filled, Pool, Ready};
use crate::error::{Error, Kind, Result, quoted};
use crate::guest::GuestCall;
use crate::job::Job;
use crate::power::{StartSpec, StopMode};
use crate::vm::{PowerState, Variable, VariableKind};

/// Between two looks at a guest that boots.
const PAUSE: Duration = Duration::from_millis(100);

impl Pool<'_> {
    /// Destroys what nobody has any more, and makes VMs until as many are ready as shall be. Several
    /// processes may do it at once; none makes more than the whole pool.
    ///
    /// # Errors
    /// What a VM could not be made for; those that were made stay. `Cancelled` likewise.
    pub fn fill(&self, job: &Job) -> Result<Filled> {
        let destroyed = self.clean(job)?;
        let mut made = 0;
        while made < self.spec.size {
            let Some(name) = self.reserve_missing(job)? else {
                break;
            };
            let ready = self.make(&name, self.spec.ready, job);
            ready
                .and_then(|()| self.change(&name, |record| record.stage = Stage::Ready))
                .map_err(|error| self.given_up(&name, error, job))?;
            made += 1;
        }
        let (ready, others) = self.count(job)?;
        Ok(Filled {
            made,
            destroyed,
            ready,
            others,
        })
    }

    /// How many VMs are ready, and how many are being made.
    fn count(&self, job: &Job) -> Result<(u32, u32)> {
        let records = self.records(job)?;
        let count = |is: fn(&Stage) -> bool| {
            let fits = |(_, record): &&(String, Record)| is(&record.stage) && !record.is_over();
            records.iter().filter(fits).count() as u32
        };
        Ok((
            count(|stage| matches!(stage, Stage::Ready)),
            count(|stage| matches!(stage, Stage::Making { .. })),
        ))
    }

    /// Remembers a VM that this process is to make, if one is missing.
    fn reserve_missing(&self, job: &Job) -> Result<Option<String>> {
        let _lock = self.lock(job)?;
        self.require_open()?;
        let (ready, making) = self.count(job)?;
        if ready + making >= self.spec.size {
            return Ok(None);
        }
        self.reserve().map(Some)
    }

    /// Remembers a VM that this process is to make. The pool is held.
    pub(super) fn reserve(&self) -> Result<String> {
        let name = self.new_name();
        self.remember(&name, &Record::begin())?;
        Ok(name)
    }

    /// Clones a VM and brings it to the state `ready`.
    pub(super) fn make(&self, name: &str, ready: Ready, job: &Job) -> Result<()> {
        let (host, vm) = (self.host, &self.vmx(name));
        job.phase(format!("cloning {}", quoted(name)));
        let report = host.clone_vm(&self.spec.of, &self.clone_spec(name), job)?;
        report.warnings.into_iter().for_each(|text| job.warn(text));
        let uuid = host.info(vm)?.uuid_bios;
        self.change(name, |record| record.uuid = uuid)?;
        if ready == Ready::Off {
            return Ok(());
        }
        job.phase(format!("booting {}", quoted(name)));
        host.power_on(vm, &StartSpec::default(), job)?;
        self.await_boot(name, job)?;
        match ready {
            Ready::Suspended => host.suspend(vm, StopMode::Soft, job),
            Ready::Off | Ready::Started => Ok(()),
        }
    }

    /// Waits until the guest has booted.
    fn await_boot(&self, name: &str, job: &Job) -> Result<()> {
        let (host, vm) = (self.host, &self.vmx(name));
        let limit = Duration::from_secs(self.spec.boot_seconds.into());
        let begin = Instant::now();
        match self.spec.booted {
            Booted::Agent => {
                let seconds = Some(self.spec.boot_seconds);
                let call = GuestCall::WaitForTools { seconds };
                host.guest(vm, None, &call, job).map(drop)
            }
            Booted::Address => {
                let variable = Variable {
                    kind: VariableKind::Guest,
                    name: "ip".into(),
                };
                while host.read_variable(vm, &variable)?.is_empty() {
                    job.check()?;
                    if begin.elapsed() >= limit {
                        let text = format!("the guest of {} has no address in time", quoted(vm));
                        let hint = "it must be on a network of this host: replix network setup";
                        return Err(Error::new(Kind::Timeout, text).at(vm).hint(hint));
                    }
                    std::thread::sleep(PAUSE);
                }
                Ok(())
            }
            Booted::Seconds(seconds) => {
                while begin.elapsed() < Duration::from_secs(seconds.into()) {
                    job.check()?;
                    std::thread::sleep(PAUSE);
                }
                if host.state(vm)? == PowerState::On {
                    return Ok(());
                }
                let text = format!("the guest of {} powered itself off", quoted(vm));
                Err(Error::new(Kind::VmNotRunning, text).at(vm))
            }
        }
    }

    /// Destroys a VM that could not be made or handed out; returns `error`, the cause. What is left
    /// of it stays remembered, for whoever cleans next.
    pub(super) fn given_up(&self, name: &str, error: Error, job: &Job) -> Error {
        let by = Some(Owner::this());
        let leaving = self.change(name, |record| record.stage = Stage::Leaving { by });
        // The job may be cancelled; this must go on.
        let own = Job::new();
        if let Err(error) = leaving.and_then(|()| self.destroy(name, &own)) {
            job.warn(format!("{} is left: {error}", quoted(name)));
        }
        error
    }
}
