//! `--rate` as a layer.

use memguard_layer::{Level, MemGuardHandle};
use ratelimit_layer::{Policy, Quota, RateLimitLayer};

/// Most quotas that a layer takes.
const MOST: usize = 8;

/// One quota is called `default`, several by what they say; `None`: there are none.
pub(crate) fn layer(quotas: &[Quota], dry_run: bool) -> Option<RateLimitLayer> {
    let mut policies = quotas.iter().map(|quota| {
        let text = quota.to_string();
        let name = if quotas.len() == 1 { "default" } else { &text };
        Policy::new(name, *quota).dry_run(dry_run)
    });
    let first = RateLimitLayer::of_policy(policies.next()?);
    Some(policies.fold(first, RateLimitLayer::policy))
}

/// Has clients do with less while memory is short: half of their quotas, then a quarter.
pub(crate) fn scaled(layer: RateLimitLayer, guard: MemGuardHandle) -> RateLimitLayer {
    layer.scale_with(move || share(guard.level()), share(Level::Hard)..=1.0)
}

const fn share(level: Level) -> f64 {
    match level {
        Level::Normal | Level::Elevated => 1.0,
        Level::Soft => 0.5,
        Level::Hard => 0.25,
    }
}

/// Whether they make a layer: as many as it takes, each once.
pub(crate) fn check(quotas: &[Quota]) -> Result<(), String> {
    if quotas.len() > MOST {
        return Err(format!("--rate takes up to {MOST} quotas"));
    }
    for (index, quota) in quotas.iter().enumerate() {
        if quotas[..index].contains(quota) {
            return Err(format!("--rate has {quota} twice"));
        }
    }
    Ok(())
}
