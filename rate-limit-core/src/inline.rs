//! A short list that lives on the stack.

/// A list whose first `N` items need no allocation.
///
/// A request rarely faces more than four policies, and the request path must not allocate for
/// them. Written without `unsafe`, at the price of an `Option` per place.
#[derive(Clone, Debug)]
pub(crate) struct InlineVec<T, const N: usize = 4> {
    first: [Option<T>; N],
    len: usize,
    /// Items `N..len`. Empty, hence unallocated, for nearly every request.
    rest: Vec<T>,
}

impl<T, const N: usize> InlineVec<T, N> {
    pub(crate) const fn new() -> Self {
        Self { first: [const { None }; N], len: 0, rest: Vec::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.first.get_mut(self.len) {
            Some(place) => *place = Some(item),
            None => self.rest.push(item),
        }
        self.len += 1;
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match self.first.get(index) {
            Some(place) => place.as_ref(),
            None => self.rest.get(index - N),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().take(self.len).flatten().chain(&self.rest)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().take(self.len).flatten().chain(&mut self.rest)
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().flatten().chain(self.rest)
    }
}

impl<T, const N: usize> FromIterator<T> for InlineVec<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::new();
        items.into_iter().for_each(|item| list.push(item));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::InlineVec;

    #[test]
    fn keeps_order_and_length_across_the_inline_boundary() {
        for count in 0..12_usize {
            let mut list: InlineVec<usize, 4> = (0..count).collect();
            assert_eq!(list.len(), count);
            assert_eq!(list.iter().copied().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            assert_eq!(list.get(count), None);
            assert_eq!(list.get(count.wrapping_sub(1)).copied(), count.checked_sub(1));
            list.iter_mut().for_each(|item| *item += 1);
            assert_eq!(list.into_iter().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        }
    }
}
