//! Kinds of personal data that a value can be told to be by its own check digits.
//!
//! Sources: GB 11643-1999 (number of a resident), ISO/IEC 7812-1 (number of a payment card), GB 32100-2015 (unified social
//! credit code), and the numbering plan of mobile telephones in China, whose numbers have no check digit.

use crate::vocabulary::words;

words! {
    /// A kind of personal data that its own number tells.
    PersonalData {
        /// 居民身份证号: the number of a resident of China.
        ResidentId = "resident-id",
        /// 银行卡号: the number of a payment card.
        BankCard = "bank-card",
        /// 手机号: the number of a mobile telephone in China.
        MobileNumber = "mobile-number",
        /// 统一社会信用代码: the unified social credit code of an organisation in China.
        CreditCode = "credit-code",
    }
}

impl PersonalData {
    /// Whether a text is of this kind, or holds a word that is.
    #[must_use]
    pub fn fits(self, text: &str) -> bool {
        let mut words = text.split(|character: char| !character.is_ascii_alphanumeric());
        self.is(text.trim()) || words.any(|word| self.is(word))
    }

    fn is(self, value: &str) -> bool {
        match self {
            Self::ResidentId => is_resident_id(value.as_bytes()),
            Self::BankCard => is_bank_card(value),
            Self::MobileNumber => is_mobile_number(value),
            Self::CreditCode => is_credit_code(value.as_bytes()),
        }
    }
}

/// 18 characters: province and county, date of birth, order, check character.
fn is_resident_id(value: &[u8]) -> bool {
    let Some((digits, [check])) = value.split_at_checked(17) else {
        return false;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |from: usize, to: usize| {
        let part = digits.get(from..to).unwrap_or_default();
        part.iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let sum: u32 = digits
        .iter()
        .zip([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let wanted = b"10X98765432".get((sum % 11) as usize);
    wanted == Some(&check.to_ascii_uppercase())
        && PROVINCES.contains(&number(0, 2))
        && is_date(number(6, 10), number(10, 12), number(12, 14))
}

const PROVINCES: &[u32] = &[
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83,
];

fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1850..2100).contains(&year) && (1..=days).contains(&day)
}

/// 15 to 19 digits, perhaps in groups, of an industry that issues payment cards, with Luhn's check digit.
fn is_bank_card(value: &str) -> bool {
    let mut digits = Vec::with_capacity(19);
    for byte in value.bytes() {
        match byte {
            b'0'..=b'9' if digits.len() < 19 => digits.push(byte - b'0'),
            b' ' | b'-' if !digits.is_empty() => {}
            _ => return false,
        }
    }
    if digits.len() < 15 || !matches!(digits.first(), Some(3..=6)) {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit @ 0..=4) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// 11 digits from 13 to 19 on, perhaps behind the country's prefix.
fn is_mobile_number(value: &str) -> bool {
    let number = ["+86", "0086", "86"]
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix))
        .filter(|rest| rest.len() >= 11)
        .unwrap_or(value);
    let number = number.trim_start_matches([' ', '-']).as_bytes();
    number.len() == 11
        && number.iter().all(u8::is_ascii_digit)
        && matches!(number, [b'1', b'3'..=b'9', ..])
}

/// 18 characters out of 31: authority and kind, 6 digits of a district, the organisation's 8 characters with their own check
/// character (GB 11714), check character.
fn is_credit_code(value: &[u8]) -> bool {
    let Some((body, [check])) = value.split_at_checked(17) else {
        return false;
    };
    let Some((district, organisation)) = body.get(2..).and_then(|rest| rest.split_at_checked(6))
    else {
        return false;
    };
    let mut weight = 1;
    let mut sum = 0;
    for byte in body {
        let Some(place) = ALPHABET.iter().position(|character| character == byte) else {
            return false;
        };
        sum += place * weight;
        weight = weight * 3 % 31;
    }
    !value.starts_with(b"0")
        && district.iter().all(u8::is_ascii_digit)
        && is_organisation(organisation)
        && ALPHABET.get((31 - sum % 31) % 31) == Some(check)
}

/// 8 digits and upper-case letters, and a check character.
fn is_organisation(value: &[u8]) -> bool {
    let sum: u32 = value
        .iter()
        .zip([3, 7, 9, 10, 5, 8, 4, 2])
        .map(|(byte, weight)| char::from(*byte).to_digit(36).unwrap_or(0) * weight)
        .sum();
    let wanted = b"0X987654321".get((sum % 11) as usize);
    wanted == value.last()
}

const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: PersonalData, right: &[&str], wrong: &[&str]) {
        for value in right {
            assert!(kind.fits(value), "{kind}: {value}");
        }
        for value in wrong {
            assert!(!kind.fits(value), "{kind}: {value}");
        }
    }

    #[test]
    fn numbers_of_residents_are_told_by_date_and_check_character() {
        // The example of the standard.
        check(
            PersonalData::ResidentId,
            &[
                "11010519491231002X",
                "11010519491231002x",
                r#"{"id": "11010519491231002X"}"#,
                " 11010519491231002X",
            ],
            &[
                "110105194912310021",
                "11010519491331002X",
                "99010519491231002X",
                "1101051949123100",
                "a11010519491231002X",
                "",
                "11010519491231002é",
            ],
        );
    }

    #[test]
    fn cards_are_told_by_their_check_digit() {
        // Numbers that card schemes publish for tests.
        check(
            PersonalData::BankCard,
            &[
                "4111111111111111",
                "4111 1111 1111 1111",
                "378282246310005",
                "6200000000000005",
            ],
            &[
                "4111111111111112",
                "1234567890123452",
                "411111111111",
                "4111111111111111a",
                "41111111111111111111",
            ],
        );
    }

    #[test]
    fn mobile_numbers_have_a_range() {
        check(
            PersonalData::MobileNumber,
            &[
                "13800138000",
                "+8613800138000",
                "+86 13800138000",
                "电话13800138000。",
            ],
            &["12800138000", "1380013800", "138001380000", "1380013800a"],
        );
    }

    #[test]
    fn credit_codes_are_told_by_their_check_character() {
        // The example of the standard.
        check(
            PersonalData::CreditCode,
            &["91350100M000100Y43"],
            &[
                "91350100M000100Y44",
                "91350100M000100I43",
                "91350100M000100Y4",
                "000000000000000000",
            ],
        );
    }
}
