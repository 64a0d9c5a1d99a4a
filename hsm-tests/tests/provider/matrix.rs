//! Every return value on every call of the module, and every other fault: an answer each time, no PIN try too many,
//! no key but the right one, and all well again when the fault is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hsm_tests::soak;
use hsm_tests::softhsm::PIN;
use touchmark_tuf::{PublicKey, Sha256Digest};
use touchmarkd::token::{KeyRef, Limits, Presence, TokenBox, TokenError};

use crate::bench::until;
use crate::codes::CODES;
use crate::judge::openssl_agrees;
use crate::shimmed::Shimmed;

/// What the daemon wants of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Look,
    Login,
    Sign,
    List,
    Unwrap,
    Generate,
    GenerateUnwrap,
    Import,
    Delete,
}

use Job::{Delete, Generate, GenerateUnwrap, Import, List, Login, Look, Sign, Unwrap};

const CHEAP: [Job; 5] = [Look, Login, Sign, List, Unwrap];
const DEAR: [Job; 4] = [Generate, GenerateUnwrap, Import, Delete];

/// What finding a token takes: these are met by a helper that has just started.
const OPENING: [&str; 4] = ["C_Initialize", "C_GetSlotList", "C_GetTokenInfo", "C_OpenSession"];

/// Longer than this no answer may take where the module does not hang.
const ANSWER: Duration = Duration::from_secs(60);
/// Until the token signs again; over it something is broken for good.
const PATIENCE: Duration = Duration::from_secs(60);

/// A token with all that the jobs need.
struct Matrix {
    at: Shimmed,
    opens: KeyRef,
    boxed: TokenBox,
    inside: Vec<u8>,
    worst: (Duration, String),
    /// Faults that the module really got to see.
    met: usize,
}

impl Matrix {
    async fn new(limits: Limits) -> Self {
        let at = Shimmed::with(limits).await;
        let (opens, _) = at.token.generate_unwrap().await.unwrap();
        let (peer, inside) = openssl_agrees(&opens.public);
        let (opens, boxed) = (opens.key_ref(), TokenBox::Ecdh { peer });
        Self { at, opens, boxed, inside, worst: (Duration::ZERO, String::new()), met: 0 }
    }

    /// Does it, and looks at a good answer.
    async fn job(&self, job: Job) -> Result<(), TokenError> {
        let token = &self.at.token;
        match job {
            Look => match token.refresh().await.presence {
                Presence::Failed(why) => Err(TokenError::HelperEnded { how: why }),
                Presence::Opening => panic!("still opening after a look"),
                Presence::Present | Presence::Absent | Presence::Mismatch(_) => Ok(()),
            },
            Login => self.at.login().await,
            Sign => {
                // The caller verifies what it gets; here that is this test.
                let signature = self.at.sign().await?;
                self.at.verifies(&signature).then_some(()).ok_or(TokenError::WrongSignature)
            }
            List => {
                let own = [&self.at.key.public, &self.opens.public];
                let keys = token.keys().await?;
                assert!(
                    keys.iter().all(|key| own.contains(&&key.public)),
                    "a key that nobody made: {keys:?}"
                );
                Ok(())
            }
            Unwrap => {
                // The vault's seal would refuse what is not the right key.
                let opened = token.unwrap(&self.opens, &self.boxed).await?;
                let code = "something else was opened".to_owned();
                (opened.expose() == self.inside).then_some(()).ok_or(TokenError::BoxRefused { code })
            }
            Generate => token.generate_root("another").await.map(drop),
            GenerateUnwrap => token.generate_unwrap().await.map(drop),
            Import => {
                let own = p256::SecretKey::from_slice(&[0x17; 32]).unwrap();
                let point: [u8; 65] = own.public_key().to_sec1_bytes().as_ref().try_into().unwrap();
                let (public, scalar) = (PublicKey::from_p256_point(&point), [0x17; 32]);
                let key =
                    token.import("theirs", &crate::bench::secret(&self.at.locked, &scalar), &public).await?;
                assert_eq!(key.public, public);
                Ok(())
            }
            Delete => {
                let spare = self.spare().await;
                token.delete(&spare).await
            }
        }
    }

    /// A key that is not needed, if there is one; else one that was never there.
    async fn spare(&self) -> KeyRef {
        let keys = self.at.token.keys().await.unwrap_or_default();
        let spare =
            keys.iter().find(|key| key.public != self.at.key.public && key.public != self.opens.public);
        spare.map_or_else(|| KeyRef { id: vec![9], public: self.at.key.public.clone() }, |key| key.key_ref())
    }

    /// The functions that a job calls while nothing is wrong: from a helper that has just started, and from one that
    /// has done it before.
    async fn calls(&mut self, job: Job) -> BTreeSet<String> {
        if job == Delete {
            self.at.token.generate_root("to delete").await.unwrap();
        }
        if job != Import {
            self.at.token.stop_helper().await;
        }
        self.at.shim.forget();
        if job != Login {
            self.at.login().await.unwrap();
        }
        self.job(job).await.unwrap_or_else(|error| panic!("{job:?}: {error}"));
        let calls = self.at.shim.called();
        self.recover("nothing").await;
        calls
    }

    /// One fault while one job is done: the answer, and what came after.
    async fn cell(&mut self, job: Job, call: &str, fault: &str) -> Result<(), TokenError> {
        let name = format!("{job:?} while {call} {fault}");
        if matches!(job, Look | Login) && OPENING.contains(&call) {
            self.at.token.stop_helper().await;
        } else {
            // With no key's handle known.
            self.at.login().await.unwrap_or_else(|error| panic!("before {name}: {error}"));
        }
        if job == Delete {
            self.at.token.generate_root("to delete").await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        self.at.order(&format!("{call} {fault}"));
        self.at.shim.forget();
        let answer = tokio::time::timeout(ANSWER, self.job(job)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{name}: no answer after {ANSWER:?}"));
        let logins = self.at.logins();
        self.met += usize::from(self.at.shim.count(call) > 0);
        // "Already logged in" is the one answer that says that no PIN was looked at.
        let allowed = match (job, call, fault.ends_with("before 100")) {
            (_, "C_Login", true) => 4,
            (_, "C_Login", false) | (Login, _, _) => 1,
            // A PIN that has been accepted and never refused since: a session is mended with it, and tokens that have
            // room for one key only are emptied by it.
            _ if job >= Generate => 12,
            _ => 4,
        };
        assert!(logins <= allowed, "{name}: {logins} logins, {answer:?}");
        if !self.at.token.state().logged_in && job != Login && answer.is_err() {
            self.no_login_by_itself(&name).await;
        }
        self.recover(&name).await;
        answer
    }

    /// Without a login nobody sends a PIN, whatever is asked.
    async fn no_login_by_itself(&self, name: &str) {
        self.at.shim.forget();
        let again = self.at.sign().await;
        assert!(again.is_err(), "{name}: signed without a login");
        assert_eq!(self.at.logins(), 0, "{name}: a PIN was sent that nobody gave");
    }

    /// Ends the fault; the time until the token signs again, by one login at most, goes into the statistics.
    async fn recover(&mut self, name: &str) {
        self.at.order("");
        self.at.shim.forget();
        let since = Instant::now();
        let mut given = 0;
        loop {
            let signed = self.at.sign().await;
            if let Ok(signature) = signed {
                assert!(self.at.verifies(&signature), "{name}: a wrong signature afterwards");
                break;
            }
            if signed == Err(TokenError::NotLoggedIn) {
                self.at
                    .token
                    .login(&self.at.secret(PIN))
                    .await
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                given += 1;
            }
            assert!(since.elapsed() < PATIENCE, "{name}: still {signed:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (took, logins) = (since.elapsed(), self.at.logins());
        // One more may be the renewal of a login whose session the fault has spoilt.
        assert!(given <= 1 && logins <= given + 1, "{name}: {logins} logins by {given} PINs");
        if took > self.worst.0 {
            self.worst = (took, name.to_owned());
        }
        self.tidy(name).await;
    }

    /// Both keys are still there, and what jobs have left is removed.
    async fn tidy(&self, name: &str) {
        let keys = self.at.token.keys().await.unwrap();
        let mut own = 0;
        for key in keys {
            if key.public == self.at.key.public || key.public == self.opens.public {
                own += 1;
            } else {
                self.at.token.delete(&key.key_ref()).await.unwrap();
            }
        }
        assert_eq!(own, 2, "{name}: a key is gone");
    }

    fn report(&self, what: &str) {
        let (took, name) = &self.worst;
        soak::say(&format!("{} faults were met", self.met));
        soak::say(&format!("the longest was {name}"));
        soak::at_most(&format!("recovery after {what}, ms"), took.as_millis(), 2000);
    }
}

fn quick() -> Limits {
    Limits { probe: Duration::from_millis(100), ..Limits::default() }
}

/// An answer that fits to a return value: never that the helper was lost, and words about PINs only from a login.
fn fits(job: Job, call: &str, code: u64, answer: &Result<(), TokenError>) -> bool {
    match answer {
        Ok(()) => true,
        Err(TokenError::WrongPin { .. }) => call == "C_Login" && matches!(code, 0xa0 | 0xa1 | 0xa2 | 0x1b8),
        Err(TokenError::PinLocked) => call == "C_Login" && code == 0xa4,
        Err(TokenError::PinNotSet) => call == "C_Login" && code == 0x102,
        Err(TokenError::HelperEnded { .. }) => job == Look,
        Err(
            TokenError::Timeout
            | TokenError::NotTouched
            | TokenError::Unreachable { .. }
            | TokenError::Busy
            | TokenError::AlreadyInitialised
            | TokenError::FactoryValues { .. }
            | TokenError::PinUnfit { .. }
            | TokenError::NoLockedMemory
            | TokenError::Mismatch { .. },
        ) => false,
        Err(
            TokenError::NotPresent
            | TokenError::NotLoggedIn
            | TokenError::KeyNotFound
            | TokenError::NotSupported { .. }
            | TokenError::BoxRefused { .. }
            | TokenError::WrongSignature
            | TokenError::ModuleUnusable { .. }
            | TokenError::Failed { .. },
        ) => true,
    }
}

/// Which codes on which calls during which jobs: in the long form all codes on all calls.
fn plan(calls: &BTreeMap<Job, BTreeSet<String>>) -> Vec<(Job, String, u64)> {
    let mut plan = Vec::new();
    let by = |jobs: &[Job], call: &String| {
        jobs.iter().copied().filter(|job| calls[job].contains(call)).collect::<Vec<_>>()
    };
    for call in calls.values().flatten().collect::<BTreeSet<_>>() {
        let (cheap, dear) = (by(&CHEAP, call), by(&DEAR, call));
        for (number, (code, _)) in CODES.iter().enumerate() {
            let jobs: Vec<Job> = if !soak::is_on() {
                let all_codes = matches!(call.as_str(), "C_Sign" | "C_Login");
                let some = matches!(code, 0x5 | 0x30 | 0xb3 | 0xe0);
                cheap.iter().chain(&dear).copied().take(usize::from(all_codes || some)).collect()
            } else if cheap.is_empty() || number % 8 == 0 {
                cheap.iter().chain(&dear).copied().collect()
            } else {
                cheap.clone()
            };
            plan.extend(jobs.into_iter().map(|job| (job, call.clone(), *code)));
        }
    }
    plan
}

async fn all_calls(matrix: &mut Matrix) -> BTreeMap<Job, BTreeSet<String>> {
    let mut calls = BTreeMap::new();
    for job in CHEAP.into_iter().chain(DEAR) {
        calls.insert(job, matrix.calls(job).await);
    }
    calls
}

#[tokio::test]
async fn each_code_on_each_call_is_an_answer_and_costs_no_pin_try_too_many() {
    let mut matrix = Matrix::new(quick()).await;
    let calls = all_calls(&mut matrix).await;
    let plan = plan(&calls);
    let names: BTreeSet<&str> = plan.iter().map(|(_, call, _)| call.as_str()).collect();
    soak::say(&format!("{} faults on {} functions: {names:?}", plan.len(), names.len()));
    let mut refused = 0;
    for (job, call, code) in plan {
        let answer = matrix.cell(job, &call, &format!("always before {code:x}")).await;
        assert!(fits(job, &call, code, &answer), "{job:?}: {call} returns {code:#x}: {answer:?}");
        assert_ne!(answer, Err(TokenError::WrongSignature), "{job:?}: {call} returns {code:#x}");
        refused += usize::from(answer.is_err());
        if job == Login && call == "C_Login" {
            assert!(answer.is_err(), "a login that the token refused with {code:#x}");
        }
    }
    soak::say(&format!("{refused} of them were refusals"));
    matrix.report("a return value");
}

#[tokio::test]
async fn hanging_crashing_and_lying_on_each_call_is_an_answer() {
    let limit = Duration::from_secs(2);
    let limits = Limits { call: limit, make: limit, open: limit, ..quick() };
    let mut matrix = Matrix::new(limits).await;
    let calls = all_calls(&mut matrix).await;
    let ends = ["always stuck", "always hang", "always abort", "always segv", "always exit"];
    let lies = ["always wrong", "always length 0", "always length 1", "always length 3f", "always length 41"];
    let mut number = 0;
    for job in CHEAP.into_iter().chain(DEAR) {
        for call in calls[&job].clone() {
            let lies = if ["C_Sign", "C_GetAttributeValue"].contains(&call.as_str()) {
                lies.as_slice()
            } else {
                &[]
            };
            for fault in ends.iter().chain(lies) {
                number += 1;
                // A hang takes as long as its deadline.
                if soak::is_on() || lies.contains(fault) && job < Generate || number % 41 == 0 {
                    let answer = matrix.cell(job, &call, fault).await;
                    soak::say(&format!("{job:?} {call} {fault}: {answer:?}"));
                }
            }
        }
    }
    matrix.report("a hang or a crash");
}

/// What the shipped limits make of it while nobody asks: the probe alone finds out.
#[tokio::test]
async fn a_token_is_back_within_two_seconds_of_any_fault_by_itself() {
    let at = Shimmed::with(Limits::default()).await;
    // Not a multiple of the time between two looks.
    let lasts = Duration::from_millis(u64::try_from(soak::rounds(1_200, 20_200)).unwrap());
    let faults = [
        "C_GetTokenInfo always before e0",
        "C_GetSlotList always before 30",
        "C_Initialize always before 5",
        "C_OpenSession always abort",
        "C_GetTokenInfo always hang",
    ];
    let mut worst = Duration::ZERO;
    for fault in faults {
        at.shim.forget();
        at.order(fault);
        at.token.stop_helper().await;
        drop(tokio::time::timeout(lasts, at.token.sign(&at.key, Sha256Digest::of(b"x"))).await);
        drop(tokio::time::timeout(lasts, at.token.watch().wait_for(|_| false)).await);
        at.order("");
        let since = Instant::now();
        until(&at.token, PATIENCE, |state| state.presence == Presence::Present).await;
        let took = since.elapsed();
        soak::say(&format!("recovery after {fault}: {} ms", took.as_millis()));
        worst = worst.max(took);
        assert_eq!(at.logins(), 0, "{fault}: looking costs no PIN try");
    }
    soak::at_most("recovery by itself after a fault, ms", worst.as_millis(), 2000);
}
