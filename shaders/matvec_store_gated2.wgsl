//#for m M
    store_gated(first_row + $(m)u, base, acc_0_$(m), acc_1_$(m));
//#end
