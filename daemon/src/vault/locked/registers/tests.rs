//! After the wipe no vector register holds what was put there.
#![allow(unsafe_code)] // registers are out of Rust's sight

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    const PATTERN: [u8; 16] = *b"secret in a wide";

    /// Puts the pattern into xmm7, runs `between`, and reads it back.
    #[inline(never)]
    fn through_xmm7(between: impl FnOnce()) -> [u8; 16] {
        let mut out = [0; 16];
        // SAFETY: reads 16 bytes of PATTERN; xmm7 is declared.
        unsafe { asm!("movdqu xmm7, [{0}]", in(reg) PATTERN.as_ptr(), out("xmm7") _, options(nostack)) };
        between();
        // SAFETY: writes 16 bytes of `out`.
        unsafe { asm!("movdqu [{0}], xmm7", in(reg) out.as_mut_ptr(), options(nostack)) };
        out
    }

    /// As above with zmm20, which `vzeroall` does not reach.
    #[inline(never)]
    fn through_zmm20(between: impl FnOnce()) -> [u8; 64] {
        let (pattern, mut out) = ([0xa5_u8; 64], [0; 64]);
        // SAFETY: the caller has checked for AVX-512; reads 64 bytes of `pattern`.
        unsafe { asm!("vmovdqu64 zmm20, [{0}]", in(reg) pattern.as_ptr(), out("xmm20") _, options(nostack)) };
        between();
        // SAFETY: as above; writes 64 bytes of `out`.
        unsafe { asm!("vmovdqu64 [{0}], zmm20", in(reg) out.as_mut_ptr(), options(nostack)) };
        out
    }

    #[test]
    fn low_registers_are_zero() {
        assert_eq!(through_xmm7(|| ()), PATTERN, "so that the next line means something");
        assert_eq!(through_xmm7(super::super::wipe), [0; 16]);
    }

    #[test]
    fn high_registers_are_zero_where_there_are_any() {
        if !std::arch::is_x86_feature_detected!("avx512f") {
            return; // this processor has none
        }
        assert_eq!(through_zmm20(|| ()), [0xa5; 64], "so that the next line means something");
        assert_eq!(through_zmm20(super::super::wipe), [0; 64]);
    }
}
