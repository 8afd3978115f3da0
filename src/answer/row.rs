//! A row of values of which the first few stand on the stack: an answer is made of such rows, and
//! making one takes nothing from the heap unless it is uncommonly long.

use std::fmt;

/// Values in the order in which they were pushed.
#[derive(Clone)]
pub struct Row<T, const N: usize> {
    near: [Option<T>; N],
    count: usize,
    /// What came after the first `N`.
    far: Vec<T>,
}

impl<T, const N: usize> Row<T, N> {
    /// A row without values.
    #[must_use]
    pub fn new() -> Row<T, N> {
        Row {
            near: [const { None }; N],
            count: 0,
            far: Vec::new(),
        }
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) {
        match self.near.get_mut(self.count) {
            Some(free) => {
                *free = Some(value);
                self.count += 1;
            }
            None => self.far.push(value),
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count + self.far.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All values, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let near = self.near.get(..self.count).unwrap_or(&[]);
        near.iter().flatten().chain(&self.far)
    }
}

impl<T, const N: usize> Default for Row<T, N> {
    fn default() -> Self {
        Row::new()
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Row<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_on_where_the_stack_ends() {
        let mut row: Row<u8, 2> = Row::new();
        assert!(row.is_empty());
        for value in 0..5 {
            row.push(value);
            assert_eq!(row.len(), usize::from(value) + 1);
        }
        assert!(row.iter().copied().eq(0..5));
        assert_eq!(format!("{row:?}"), "[0, 1, 2, 3, 4]");
    }
}
