//! The end of a reservation.
