//! Application and AppProject as users write them, validated.
