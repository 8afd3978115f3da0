//! All small inputs.
