//! Clients, discovery, the watch index, the apply and delete verbs.
