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
    /// More than `N` items; all places are taken.
    Many(Vec<Option<T>>),
}

impl<T, const N: usize> InlineVec<T, N> {
    pub(crate) const fn new() -> Self {
        Self { first: None, more: More::None }
    }

    #[inline]
    pub(crate) const fn one(item: T) -> Self {
        Self { first: Some(item), more: More::None }
    }

    /// A list of `M` items, which need no allocation. It does not compile with more of them.
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub(crate) fn few<const M: usize>(items: [T; M]) -> Self {
        const { assert!(M <= N + 1, "so many items need an allocation") }
        let mut items = items.into_iter();
        let first = items.next();
        let more = match M {
            0 | 1 => More::None,
            _ => More::Few { places: std::array::from_fn(|_| items.next()), len: M - 1 },
        };
        Self { first, more }
    }

    /// An empty list that need not change its form until it has `count` items.
    #[inline]
    pub(crate) fn with_capacity(count: usize) -> Self {
        let mut list = Self::new();
        // Written to where the list lies already, so that nothing has to be copied there.
        match count.saturating_sub(1) {
            0 => {}
            more if more <= N => list.more = More::Few { places: [const { None }; N], len: 0 },
            more => list.more = More::Many(Vec::with_capacity(more)),
        }
        list
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

    /// All items if there are exactly `M`, and at least one.
    #[inline]
    pub(crate) fn exactly<const M: usize>(&self) -> Option<[&T; M]> {
        let mut items = [self.first.as_ref()?; M];
        let more = self.more.places();
        if more.len() + 1 != M {
            return None;
        }
        for (item, place) in items.iter_mut().skip(1).zip(more) {
            *item = place.as_ref()?;
        }
        Some(items)
    }

    /// The item of a list of one, unless the list was made for more. Telling those apart costs whoever
    /// has one as much as whoever has more.
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
        match index.checked_sub(1) {
            None => self.first.as_ref(),
            Some(index) => self.more.places().get(index)?.as_ref(),
        }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        FirstAnd { first: self.first.as_ref(), more: self.more.places().iter() }
    }

    #[inline]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.more.places_mut().iter_mut().flatten())
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = T> {
        let (few, many) = match self.more {
            More::None => (None, None),
            More::Few { places, .. } => (Some(places), None),
            More::Many(items) => (None, Some(items)),
        };
        let many = many.into_iter().flatten();
        self.first.into_iter().chain(few.into_iter().flatten().chain(many).flatten())
    }
}

impl<T, const N: usize> More<T, N> {
    /// The places that are taken.
    #[inline]
    fn places(&self) -> &[Option<T>] {
        match self {
            Self::None => &[],
            Self::Few { places, len } => places.get(..*len).unwrap_or_default(),
            Self::Many(items) => items,
        }
    }

    #[inline]
    fn places_mut(&mut self) -> &mut [Option<T>] {
        match self {
            Self::None => &mut [],
            Self::Few { places, len } => places.get_mut(..*len).unwrap_or_default(),
            Self::Many(items) => items,
        }
    }

    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    fn push(&mut self, item: T) {
        loop {
            if let Self::Few { places, len } = self
                && let Some(place) = places.get_mut(*len)
            {
                *place = Some(item);
                *len += 1;
                return;
            }
            if let Self::Many(items) = self {
                return items.push(Some(item));
            }
            // Without the item: one that is handed on has to lie in memory before, also where there
            // is room for it.
            self.grow();
        }
    }

    /// Takes the next larger form, which has room.
    #[inline(never)]
    fn grow(&mut self) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None if N > 0 => Self::Few { places: [const { None }; N], len: 0 },
            Self::None => Self::Many(Vec::new()),
            // As a request may face any number of policies, the rest is allocated; once, if they are
            // no more than three times as many.
            Self::Few { places, .. } => {
                let mut items = Vec::with_capacity(2 * N);
                items.extend(places);
                Self::Many(items)
            }
            many @ Self::Many(_) => many,
        };
    }

    /// What becomes of each item, in the same form.
    fn map<U>(self, mut into: impl FnMut(usize, T) -> U) -> More<U, N> {
        let mut index = 0;
        let place = |place: Option<T>| {
            index += 1;
            place.map(|item| into(index, item))
        };
        match self {
            Self::None => More::None,
            Self::Few { places, len } => More::Few { places: places.map(place), len },
            Self::Many(items) => More::Many(items.into_iter().map(place).collect()),
        }
    }
}

/// All items of a list.
struct FirstAnd<'a, T> {
    first: Option<&'a T>,
    more: std::slice::Iter<'a, Option<T>>,
}

impl<'a, T> Iterator for FirstAnd<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.more.next()?.as_ref(),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.first.is_some()) + self.more.len();
        (left, Some(left))
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
            assert_eq!(list.exactly::<1>(), (count == 1).then_some([&0]));
            assert_eq!(list.exactly::<3>(), (count == 3).then_some([&0, &1, &2]));
            assert_eq!(list.exactly::<6>(), (count == 6).then_some([&0, &1, &2, &3, &4, &5]));
            list.iter_mut().for_each(|item| *item += 1);
            assert_eq!(list.into_iter().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_few_items_make_the_list_that_pushing_them_makes() {
        fn check<const M: usize>() {
            let list: InlineVec<usize> = InlineVec::few::<M>(std::array::from_fn(|number| number));
            assert_eq!(list.only().copied(), (M == 1).then_some(0));
            assert_eq!((list.len(), list.exactly::<M>().is_some()), (M, M > 0));
            assert_eq!(list.into_iter().collect::<Vec<_>>(), (0..M).collect::<Vec<_>>());
        }
        check::<0>();
        check::<1>();
        check::<2>();
        check::<4>();
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
