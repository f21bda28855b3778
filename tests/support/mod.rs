//! What the tests against the real kernel share: namespaces of their own, iproute2 as the independent witness,
//! requests made by hand, and a way to skip that is never silent.
//!
//! A test on the kernel tier is a plain function and one line in its file's `cases!`. It runs on a thread of its
//! own in an empty network namespace of its own, with the loopback down, and fails by panicking. Children such
//! as `ip` inherit the namespace; a second thread does too when the test starts it.
#![allow(dead_code, unused_imports, unused_macros, unreachable_pub)] // Every test binary takes a part of this.

pub mod churn;
pub mod iproute2;
pub mod judge;
pub mod namespaces;
pub mod oracle;
pub mod request;

pub use iproute2::{
    batch, bridge, bridge_json, ip, ip_available, ip_json, scene, try_batch, try_ip,
};
pub use judge::{
    PATIENCE, compare_to_the_last_row, quiesce_and_compare, quiesce_and_compare_links,
    resync_and_compare,
};
pub use namespaces::{
    has_mpls, kind_available, need_kind, need_kinds, need_mpls, renames_what_is_up, sysctl,
};
pub use request::Request;

use libtest_mimic::{Completion, Trial};
use std::any::Any;
use std::panic;
use std::thread;

/// One test of the kernel tier.
pub struct Case {
    pub name: String,
    pub run: fn(),
}

impl Case {
    /// `path` is the function's, beginning with the crate.
    pub fn new(path: &str, run: fn()) -> Case {
        let name = path.split_once("::").map_or(path, |(_, inside)| inside).to_owned();
        Case { name, run }
    }

    /// As a trial, in a namespace of its own; or skipped, because there cannot be any.
    pub fn into_trial(self, entered: &Result<(), String>) -> Trial {
        let Case { name, run } = self;
        let entered = entered.clone();
        Trial::ignorable_test(name.clone(), move || {
            let ended = match entered {
                Ok(()) => in_thread(&name, run),
                Err(why) => Err(Box::new(Skip(why)) as Box<dyn Any + Send>),
            };
            match ended {
                Ok(()) => Ok(Completion::Completed),
                Err(payload) => match payload.downcast::<Skip>() {
                    Ok(skip) => {
                        eprintln!("skipped: {name}: {}", skip.0);
                        Ok(Completion::ignored_with(skip.0))
                    }
                    Err(payload) => Err(panic_text(&*payload).into()),
                },
            }
        })
    }
}

/// Lists the tests of a file: `cases![first, second];` makes its `pub fn cases()`.
#[macro_export]
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub fn cases() -> Vec<$crate::support::Case> {
            vec![$($crate::support::Case::new(concat!(module_path!(), "::", stringify!($name)), $name)),*]
        }
    };
}

/// Why a test cannot run here. Ends the test from any depth, without a failure.
pub struct Skip(pub String);

/// Ends this test as skipped.
pub fn skip(why: impl Into<String>) -> ! {
    // Past the panic hook, which would print a backtrace of something that is no failure.
    panic::resume_unwind(Box::new(Skip(why.into())))
}

fn in_thread(name: &str, run: fn()) -> Result<(), Box<dyn Any + Send>> {
    let isolated = move || {
        netlinkdb::internals::sys::unshare_network().expect("a network namespace for this test");
        run();
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(isolated);
    thread.expect("a thread for this test").join()
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let formatted = || payload.downcast_ref::<String>().cloned();
    literal.or_else(formatted).unwrap_or_else(|| "panicked".to_owned())
}
