//! kryoptic as a PKCS#11 module: its library with the one symbol that a loader looks for (PKCS#11 v2.40, section 5.4).

use kryoptic_lib::fns::general::fn_get_function_list;
use kryoptic_lib::pkcs11::{CK_FUNCTION_LIST_PTR_PTR, CK_RV};

/// Section 5.4: the table of all functions.
#[allow(non_snake_case, reason = "the name that PKCS#11 gives it")]
#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    fn_get_function_list(list)
}
