//! A short list that lives on the stack.

/// A list whose first item and `N` more need no allocation.
///
/// A request rarely faces more than four policies, and the request path must not allocate for
/// them; nearly always it faces one, which is why the first item has a place of its own: it is made,
/// moved and dropped without touching the other places. Written without `unsafe`, at the price of
/// an `Option` per place.
#[derive(Clone, Debug)]
pub(crate) struct InlineVec<T, const N: usize = 3> {
    first: Option<T>,
    more: More<T, N>,
}

/// The items after the first one.
#[derive(Clone, Debug)]
enum More<T, const N: usize> {
    None,
    /// Up to `N` items; the first `len` places are taken.
    Few {
        places: [Option<T>; N],
        len: usize,
    },
    /// More than `N` items.
    Many(Vec<T>),
}

impl<T, const N: usize> InlineVec<T, N> {
    pub(crate) const fn new() -> Self {
        Self { first: None, more: More::None }
    }

    #[inline]
    pub(crate) const fn one(item: T) -> Self {
        Self { first: Some(item), more: More::None }
    }

    /// An empty list that need not change its form until it has `count` items.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let more = match count.saturating_sub(1) {
            0 => More::None,
            more if more <= N => More::Few { places: [const { None }; N], len: 0 },
            more => More::Many(Vec::with_capacity(more)),
        };
        Self { first: None, more }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        match (&self.first, &self.more) {
            (None, _) => 0,
            (Some(_), More::None) => 1,
            (Some(_), More::Few { len, .. }) => 1 + *len,
            (Some(_), More::Many(items)) => 1 + items.len(),
        }
    }

    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub(crate) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.more.push(item);
        }
    }

    /// The item of a list of one.
    #[inline]
    pub(crate) const fn only(&self) -> Option<&T> {
        match (&self.first, &self.more) {
            (Some(item), More::None) => Some(item),
            _ => None,
        }
    }

    /// Moves what becomes of each item to `other`, in place of what is there. Only as much is moved
    /// as there is.
    #[inline]
    pub(crate) fn drain_into<U>(
        &mut self,
        other: &mut InlineVec<U, N>,
        mut into: impl FnMut(usize, T) -> U,
    ) {
        other.first = self.first.take().map(|item| into(0, item));
        if matches!((&self.more, &other.more), (More::None, More::None)) {
            return;
        }
        other.more = std::mem::replace(&mut self.more, More::None).map(into);
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match (index.checked_sub(1), &self.more) {
            (None, _) => self.first.as_ref(),
            (Some(_), More::None) => None,
            (Some(index), More::Few { places, .. }) => places.get(index)?.as_ref(),
            (Some(index), More::Many(items)) => items.get(index),
        }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let more = match &self.more {
            More::None => Items::Whole([].iter()),
            More::Few { places, .. } => Items::Places(places.iter()),
            More::Many(items) => Items::Whole(items.iter()),
        };
        FirstAnd { first: self.first.as_ref(), more }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let (few, many) = match &mut self.more {
            More::None => (None, None),
            More::Few { places, .. } => (Some(places), None),
            More::Many(items) => (None, Some(items)),
        };
        let few = few.into_iter().flatten().flatten();
        self.first.iter_mut().chain(few).chain(many.into_iter().flatten())
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = T> {
        let (few, many) = match self.more {
            More::None => (None, None),
            More::Few { places, .. } => (Some(places), None),
            More::Many(items) => (None, Some(items)),
        };
        let few = few.into_iter().flatten().flatten();
        self.first.into_iter().chain(few).chain(many.into_iter().flatten())
    }
}

impl<T, const N: usize> More<T, N> {
    #[inline]
    fn push(&mut self, item: T) {
        if let Self::Few { places, len } = self
            && let Some(place) = places.get_mut(*len)
        {
            *place = Some(item);
            *len += 1;
            return;
        }
        self.push_grown(item);
    }

    /// [`push`](Self::push) where the form changes or the list is long.
    fn push_grown(&mut self, item: T) {
        if let Self::Many(items) = self {
            return items.push(item);
        }
        *self = match std::mem::replace(self, Self::None) {
            Self::None if N > 0 => {
                let mut places = [const { None }; N];
                if let Some(place) = places.first_mut() {
                    *place = Some(item);
                }
                Self::Few { places, len: 1 }
            }
            Self::None => Self::Many(vec![item]),
            Self::Few { places, .. } => {
                Self::Many(places.into_iter().flatten().chain([item]).collect())
            }
            Self::Many(items) => Self::Many(items.into_iter().chain([item]).collect()),
        };
    }

    /// What becomes of each item, in the same form.
    fn map<U>(self, mut into: impl FnMut(usize, T) -> U) -> More<U, N> {
        match self {
            Self::None => More::None,
            Self::Few { places, len } => {
                let mut index = 0;
                let places = places.map(|place| {
                    index += 1;
                    place.map(|item| into(index, item))
                });
                More::Few { places, len }
            }
            Self::Many(items) => More::Many(
                items.into_iter().zip(1..).map(|(item, index)| into(index, item)).collect(),
            ),
        }
    }
}

/// All items of a list.
struct FirstAnd<'a, T> {
    first: Option<&'a T>,
    more: Items<'a, T>,
}

/// The items after the first one, of which it is looked up only once in which form they are.
enum Items<'a, T> {
    Whole(std::slice::Iter<'a, T>),
    Places(std::slice::Iter<'a, Option<T>>),
}

impl<'a, T> Iterator for FirstAnd<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        if self.first.is_some() {
            return self.first.take();
        }
        match &mut self.more {
            Items::Whole(items) => items.next(),
            Items::Places(places) => places.next()?.as_ref(),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let first = usize::from(self.first.is_some());
        match &self.more {
            Items::Whole(items) => (first + items.len(), Some(first + items.len())),
            Items::Places(places) => (first, Some(first + places.len())),
        }
    }
}

impl<T, const N: usize> FromIterator<T> for InlineVec<T, N> {
    /// Begins in the form that the least number of items calls for.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let items = items.into_iter();
        let mut list = Self::with_capacity(items.size_hint().0);
        items.for_each(|item| list.push(item));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::{InlineVec, More};

    #[test]
    fn keeps_order_and_length_in_every_form() {
        for count in 0..12_usize {
            let mut list: InlineVec<usize> = (0..count).collect();
            assert_eq!(list.len(), count);
            assert_eq!(list.iter().copied().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            assert_eq!(list.get(count), None);
            assert_eq!(list.get(count.wrapping_sub(1)).copied(), count.checked_sub(1));
            assert_eq!(list.only().copied(), (count == 1).then_some(0));
            assert_eq!(matches!(list.more, More::Many(_)), count > 4, "four need no allocation");
            list.iter_mut().for_each(|item| *item += 1);
            assert_eq!(list.into_iter().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_items_are_moved_into_a_list_of_any_form_and_none_stays_behind() {
        for count in 0..8_usize {
            for before in 0..8_usize {
                let mut list: InlineVec<usize> = (0..count).collect();
                let mut other: InlineVec<(usize, usize)> = (0..before).map(|n| (n, n)).collect();
                list.drain_into(&mut other, |index, item| (index, item + 10));
                assert_eq!(list.len(), 0);
                let expected: Vec<_> = (0..count).map(|n| (n, n + 10)).collect();
                assert_eq!(other.iter().copied().collect::<Vec<_>>(), expected);
                assert_eq!(other.len(), count);
            }
        }
    }
}
