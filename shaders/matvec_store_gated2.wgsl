//#for m M
    store_gated($(m)u, base, acc_0_$(m), acc_1_$(m));
//#end
