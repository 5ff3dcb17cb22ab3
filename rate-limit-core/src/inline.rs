//! A short list that lives on the stack.

/// A list whose first `N` items need no allocation.
///
/// A request rarely faces more than four policies, and the request path must not allocate for
/// them; nearly always it faces one, which is why one item is a case of its own that is made and
/// dropped without looking at the other places. Written without `unsafe`, at the price of an
/// `Option` per place.
#[derive(Clone, Debug)]
pub(crate) enum InlineVec<T, const N: usize = 4> {
    None,
    One(T),
    /// Two to `N` items; the first `len` places are taken.
    Few {
        places: [Option<T>; N],
        len: usize,
    },
    /// More than `N` items.
    Many(Vec<T>),
}

impl<T, const N: usize> InlineVec<T, N> {
    pub(crate) const fn new() -> Self {
        Self::None
    }

    /// An empty list that need not change its form until it has `count` items.
    pub(crate) fn with_capacity(count: usize) -> Self {
        match count {
            0 | 1 => Self::None,
            _ if count <= N => Self::Few { places: [const { None }; N], len: 0 },
            _ => Self::Many(Vec::with_capacity(count)),
        }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Few { len, .. } => *len,
            Self::Many(items) => items.len(),
        }
    }

    pub(crate) fn push(&mut self, item: T) {
        match self {
            Self::Many(items) => return items.push(item),
            Self::Few { places, len } => {
                if let Some(place) = places.get_mut(*len) {
                    *place = Some(item);
                    *len += 1;
                    return;
                }
            }
            Self::None | Self::One(_) => {}
        }
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(item),
            full => full.grown(item),
        };
    }

    /// The next larger form, with `item` added.
    fn grown(self, item: T) -> Self {
        match self {
            Self::One(first) if N >= 2 => {
                let mut places = [const { None }; N];
                for (place, item) in places.iter_mut().zip([first, item]) {
                    *place = Some(item);
                }
                Self::Few { places, len: 2 }
            }
            full => Self::Many(full.into_iter().chain([item]).collect()),
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match self {
            Self::None => None,
            Self::One(item) => (index == 0).then_some(item),
            Self::Few { places, .. } => places.get(index)?.as_ref(),
            Self::Many(items) => items.get(index),
        }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        match self {
            Self::None => Items::Whole([].iter()),
            Self::One(item) => Items::Whole(std::slice::from_ref(item).iter()),
            Self::Few { places, .. } => Items::Places(places.iter()),
            Self::Many(items) => Items::Whole(items.iter()),
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let (one, few, many) = match self {
            Self::None => (None, None, None),
            Self::One(item) => (Some(item), None, None),
            Self::Few { places, .. } => (None, Some(places), None),
            Self::Many(items) => (None, None, Some(items)),
        };
        one.into_iter().chain(few.into_iter().flatten().flatten()).chain(many.into_iter().flatten())
    }

    /// The list of what becomes of each item, in the same form.
    #[inline]
    pub(crate) fn map<U>(self, mut into: impl FnMut(usize, T) -> U) -> InlineVec<U, N> {
        match self {
            Self::None => InlineVec::None,
            Self::One(item) => InlineVec::One(into(0, item)),
            Self::Few { places, len } => {
                let mut index = 0;
                let places = places.map(|place| {
                    let mapped = place.map(|item| into(index, item));
                    index += 1;
                    mapped
                });
                InlineVec::Few { places, len }
            }
            Self::Many(items) => {
                let items = items.into_iter().enumerate();
                InlineVec::Many(items.map(|(index, item)| into(index, item)).collect())
            }
        }
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = T> {
        let (one, few, many) = match self {
            Self::None => (None, None, None),
            Self::One(item) => (Some(item), None, None),
            Self::Few { places, .. } => (None, Some(places), None),
            Self::Many(items) => (None, None, Some(items)),
        };
        one.into_iter().chain(few.into_iter().flatten().flatten()).chain(many.into_iter().flatten())
    }
}

/// The items of a list, of which it is looked up only once in which form it is.
enum Items<'a, T> {
    Whole(std::slice::Iter<'a, T>),
    Places(std::slice::Iter<'a, Option<T>>),
}

impl<'a, T> Iterator for Items<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        match self {
            Self::Whole(items) => items.next(),
            Self::Places(places) => places.next()?.as_ref(),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Whole(items) => items.size_hint(),
            Self::Places(places) => (0, Some(places.len())),
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
    use super::InlineVec;

    #[test]
    fn keeps_order_and_length_in_every_form() {
        for count in 0..12_usize {
            let mut list: InlineVec<usize, 4> = (0..count).collect();
            assert_eq!(list.len(), count);
            assert_eq!(list.iter().copied().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            assert_eq!(list.get(count), None);
            assert_eq!(list.get(count.wrapping_sub(1)).copied(), count.checked_sub(1));
            assert_eq!(matches!(list, InlineVec::Many(_)), count > 4, "four need no allocation");
            let places = list.clone().map(|index, item| (index, item));
            assert!(places.iter().all(|(index, item)| index == item));
            assert_eq!(places.len(), count);
            list.iter_mut().for_each(|item| *item += 1);
            assert_eq!(list.into_iter().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        }
    }
}
