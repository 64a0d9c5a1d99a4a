//! A real Notary with two repositories of alice's, and the plan that lets bob in: two root keys must sign from then on.

use std::path::{Path, PathBuf};

use hsm_tests::ca::Ca;
use hsm_tests::cli::Cli;
use hsm_tests::front::Front;
use hsm_tests::http::Request;
use hsm_tests::notary::Notary;
use std::sync::Arc;

use crate::stage::{Desk, Holder};

pub(crate) const IMAGES: [&str; 2] = ["localhost:5000/team/app", "localhost:5000/team/web"];

pub(crate) struct World {
    pub(crate) ca: Arc<Ca>,
    pub(crate) notary: Notary,
    /// What clients take for the server: counts, holds up and refuses requests.
    pub(crate) front: Front,
    pub(crate) alice: Holder,
    pub(crate) bob: Holder,
    pub(crate) desk: Desk,
    pub(crate) plan: PathBuf,
}

impl World {
    pub(crate) fn set() -> Self {
        let ca = Arc::new(Ca::new());
        let notary = Notary::start(&ca);
        let front = Front::before(notary.url(), Arc::clone(&ca));
        let (mut alice, bob, mut desk) = (Holder::new("alice"), Holder::new("bob"), Desk::new());
        for home in [&mut alice.home, &mut desk.home] {
            home.trust_tls_of(&front.host(), &ca.pem());
            home.set("DOCKER_CONTENT_TRUST_SERVER", &front.url());
        }
        alice.run(&["vault", "init", "--token", "alice"]).ok();
        for image in IMAGES {
            alice.run(&["init", image]).ok();
        }
        let key = bob.key_file(&desk, &IMAGES, &[]);
        let plan = desk.file("spring.plan");
        let args = ["ceremony", "plan", "--title", "spring", "--threshold", "2", "--add-root"];
        desk.touchmark(&args).arg(&key).args(IMAGES).arg("--out").arg(&plan).ok();
        Self { ca, notary, front, alice, bob, desk, plan }
    }

    /// Both have signed, and it is merged.
    pub(crate) fn merged() -> (Self, PathBuf) {
        let world = Self::set();
        let shares = [world.signed(&world.alice), world.signed(&world.bob)];
        let record = world.desk.file("spring.ceremony");
        world.merge(&shares, &record).ok();
        (world, record)
    }

    /// The transcript of a holder.
    pub(crate) fn signed(&self, holder: &Holder) -> PathBuf {
        let out = self.desk.file(&format!("{}.transcript", holder.name));
        holder.sign_in_earnest(&self.plan, &out).ok();
        out
    }

    pub(crate) fn merge(&self, shares: &[PathBuf], record: &Path) -> Cli {
        self.desk.touchmark(&["ceremony", "merge"]).arg(&self.plan).args(shares).arg("--out").arg(record)
    }

    pub(crate) fn publish(&self, record: &Path) -> Cli {
        self.desk.touchmark(&["ceremony", "publish", "--yes"]).arg(record)
    }

    pub(crate) fn verify(&self, file: &Path) -> Cli {
        self.desk.touchmark(&["ceremony", "verify"]).arg(file)
    }

    /// The published root of an image, as anybody can fetch it.
    pub(crate) fn root(&self, image: &str, name: &str) -> PathBuf {
        let url = format!("{}/v2/{image}/_trust/tuf/{name}", self.notary.url());
        let answer = Request { ca: Some(&self.ca), ..Request::get(&url) }.send().unwrap().expect_status(200);
        let file = self.desk.file(&format!("{}.{name}", image.rsplit('/').next().unwrap()));
        std::fs::write(&file, answer.text()).unwrap();
        file
    }
}
