//#for m M
    store_gated(first_row + $(m)u, base, acc_0_$(m), acc_1_$(m));
    store_gated(first_row + $(m)u, base + 2u, acc_2_$(m), acc_3_$(m));
//#end
