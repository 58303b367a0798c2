//! A comparison and a policy become an ordered sync plan.
