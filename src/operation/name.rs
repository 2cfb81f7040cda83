//! The names of operations.

/// `SaveInteraction` for `botstore::domain::interactions::SaveInteraction`.
pub(super) fn short_name<T: ?Sized>() -> &'static str {
    let full = std::any::type_name::<T>();
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_have_neither_path_nor_type_parameters() {
        struct Wrapped<T>(T);
        assert_eq!(short_name::<String>(), "String");
        assert_eq!(short_name::<Wrapped<Vec<u8>>>(), "Wrapped");
        let _ = Wrapped(1).0;
    }
}
