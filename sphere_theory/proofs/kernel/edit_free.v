(* B10: a bound for all edits up to a size, the edit itself unknown. *)
From Coq Require Import Reals Lra Lia Psatz.
From SphereTheory Require Import definitions sums pair sphere energy enclosure.
Open Scope R_scope.

(* ---------- 1. how far a short change turns a vector ---------- *)

(* sin(t)/t decreases *)
Lemma sine_ratio a b : 0 < a -> a <= b -> b <= PI / 2 -> a * sin b <= b * sin a.
Proof.
  intros Ha Hab Hb. pose proof PI_RGT_0 as HPI.
  assert (T : forall t, 0 <= t <= PI / 2 -> t * cos t - sin t <= 0).
  { intros t Ht. replace 0 with (0 * cos 0 - sin 0) by (rewrite sin_0; ring).
    apply (decreasing (fun x => x * cos x - sin x) (fun x => - (x * sin x))); [ lra | | ]; intros c Hc.
    - eapply dl_eq; [ derive | cbv beta; ring ].
    - assert (0 <= c * sin c) by (apply Rmult_le_pos; [ lra | apply sin_ge_0; lra ]). lra. }
  assert (H : sin b * (1 / b) <= sin a * (1 / a)).
  { apply (decreasing (fun x => sin x * (1 / x)) (fun x => (x * cos x - sin x) / (x * x)));
      [ exact Hab | | ]; intros c Hc.
    - eapply dl_eq.
      + apply dl_mult; [ derive | apply dl_inv; [ derive | cbv beta; lra ] ].
      + cbv beta. field. lra.
    - pose proof (T c ltac:(lra)). assert (0 < / (c * c)) by (apply Rinv_0_lt_compat, Rmult_lt_0_compat; lra).
      unfold Rdiv. nra. }
  apply (Rmult_le_compat_l (a * b)) in H; [ | apply Rmult_le_pos; lra ].
  replace (a * b * (sin b * (1 / b))) with (a * sin b) in H by (field; lra).
  replace (a * b * (sin a * (1 / a))) with (b * sin a) in H by (field; lra). exact H.
Qed.

Lemma kappa_nonneg x : 0 < x < 1 -> 0 <= kappa x.
Proof.
  intros Hx. pose proof (asin_bound x) as HB. pose proof (sin_asin x ltac:(lra)) as E. pose proof PI_RGT_0.
  assert (0 <= asin x).
  { destruct (Rle_lt_dec 0 (asin x)) as [H1 | H1]; [ exact H1 | exfalso ].
    pose proof (sin_incr_1 (asin x) 0 ltac:(lra) ltac:(lra) ltac:(lra) ltac:(lra) ltac:(lra)) as H2.
    rewrite sin_0 in H2. lra. }
  apply Rmult_le_pos; [ assumption | left; apply Rinv_0_lt_compat; lra ].
Qed.

(* δ ≤ κ(x) ‖Δw‖/‖w‖, for ‖Δw‖/‖w‖ ≤ x < 1 *)
Lemma turn_bound d w w' x : 0 < norm d w -> 0 < norm d w' -> 0 < x < 1 ->
  norm d (fun k => w' k - w k) <= x * norm d w ->
  0 <= angle d (direction d w) (direction d w') < PI / 2 /\
  angle d (direction d w) (direction d w') * norm d w <= kappa x * norm d (fun k => w' k - w k).
Proof.
  intros Hw Hw' Hx Hl. pose proof PI_RGT_0 as HPI.
  pose proof (unit_range d _ _ (direction_unit d w Hw) (direction_unit d w' Hw')) as Hc.
  pose proof (norm_change d w w') as E. pose proof (norm_nonneg d (fun k => w' k - w k)) as Hl0.
  replace (dot d w w') with (norm d w * norm d w' * dot d (direction d w) (direction d w')) in E
    by (rewrite dot_direction; field; lra).
  unfold angle. set (c := dot d (direction d w) (direction d w')) in *.
  set (a := norm d w) in *. set (b := norm d w') in *. set (l := norm d (fun k => w' k - w k)) in *.
  pose proof (acos_bound c) as HB. pose proof (sin2_cos2 (acos c)) as P. unfold Rsqr in P.
  rewrite cos_acos in P by lra.
  assert (la : l < a) by nra.
  assert (Hpos : 0 < c).
  { destruct (Rle_lt_dec c 0) as [Hn | Hp]; [ exfalso | exact Hp ].
    assert (0 <= (a * b) * - c) by (apply Rmult_le_pos; [ apply Rmult_le_pos | ]; lra).
    pose proof (Rle_0_sqr b) as Hb. unfold Rsqr in Hb. assert (l * l < a * a) by nra. lra. }
  assert (HA : acos c < PI / 2).
  { destruct (Rlt_le_dec (acos c) (PI / 2)) as [H | H]; [ exact H | exfalso ].
    pose proof (cos_le_0 (acos c) H ltac:(lra)) as H0. rewrite cos_acos in H0 by lra. lra. }
  split; [ lra | ].
  (* a sin δ ≤ ‖Δw‖ *)
  assert (HS0 : 0 <= sin (acos c)) by (apply sin_ge_0; lra).
  assert (HS : a * sin (acos c) <= l).
  { apply Rsqr_incr_0; [ | apply Rmult_le_pos; lra | exact Hl0 ]. unfold Rsqr.
    pose proof (Rle_0_sqr (b - a * c)) as R. unfold Rsqr in R.
    replace (a * sin (acos c) * (a * sin (acos c))) with (a * a * (sin (acos c) * sin (acos c))) by ring.
    replace (sin (acos c) * sin (acos c)) with (1 - c * c) by lra. lra. }
  destruct (Req_dec (acos c) 0) as [Z | NZ].
  { rewrite Z, Rmult_0_l. apply Rmult_le_pos; [ now apply kappa_nonneg | exact Hl0 ]. }
  pose proof (asin_bound x) as HBx. pose proof (sin_asin x ltac:(lra)) as Ex.
  assert (Hle : acos c <= asin x).
  { destruct (Rle_lt_dec (acos c) (asin x)) as [H | H]; [ exact H | exfalso ].
    assert (sin (asin x) < sin (acos c)) by (apply sin_increasing_1; lra). rewrite Ex in H0. nra. }
  pose proof (sine_ratio (acos c) (asin x) ltac:(lra) Hle ltac:(lra)) as R. rewrite Ex in R.
  apply (Rmult_le_reg_l x); [ lra | ]. unfold kappa.
  replace (x * (asin x / x * l)) with (asin x * l) by (field; lra).
  apply Rle_trans with (asin x * (a * sin (acos c))); [ nra | apply Rmult_le_compat_l; lra ].
Qed.

(* ---------- 2. the theorem ---------- *)

Section EditFree.
Variables (n d : nat) (s : R).
Local Notation theta := (theta d).
Local Notation delta := (delta d).
Local Notation HE := (HE n d s).
Local Notation frobenius := (frobenius n).
Local Notation gradient := (gradient n d s).
Local Notation G := (G n d s).
Local Notation tau := (tau d).
Local Notation phi := (phi d).
Local Notation K_gradient := (K_gradient n d s).
Local Notation psi := (psi d).
Local Notation Q := (Q n d s).

Hypothesis s_nonneg : 0 <= s.

Section Edit.
Variables (W Delta : matrix) (m rho : R).
Hypothesis size : 0 < rho < m.
Hypothesis rows : forall i, (i < n)%nat -> m <= norm d (W i).
Hypothesis small : frobenius d Delta <= rho.
Let k := kappa (rho / m).
Hypothesis open : forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < psi W (k * rho) i j.

Let a i := norm d (W i).
Let r i := norm d (Delta i).

Lemma x_range : 0 < rho / m < 1.
Proof.
  assert (E : rho / m * m = rho) by (field; lra).
  assert (0 < rho / m) by (apply Rdiv_lt_0_compat; lra). split; [ assumption | nra ].
Qed.

Lemma k_nonneg : 0 <= k.
Proof. apply kappa_nonneg, x_range. Qed.

Lemma a_pos i : (i < n)%nat -> 0 < a i.
Proof. intros Hi. pose proof (rows i Hi). unfold a. lra. Qed.

Lemma squares : sum n (fun i => r i * r i) <= rho * rho.
Proof.
  rewrite (sum_ext n _ (fun i => dot d (Delta i) (Delta i))) by (intros; apply norm_sq).
  rewrite <- frobenius_sq. simpl. rewrite Rmult_1_r.
  assert (0 <= frobenius d Delta) by apply sqrt_pos. apply Rmult_le_compat; lra.
Qed.

Lemma r_le i : (i < n)%nat -> 0 <= r i <= rho.
Proof.
  intros Hi. pose proof (norm_nonneg d (Delta i)) as H. fold (r i) in H. split; [ exact H | ].
  pose proof (term_le_sum n (fun i => r i * r i) i ltac:(intros; apply Rle_0_sqr) Hi) as T. cbv beta in T.
  pose proof squares. apply Rsqr_incr_0; unfold Rsqr; lra.
Qed.

Lemma change_norm i : norm d (fun k => plus W Delta i k - W i k) = r i.
Proof. unfold r, norm. f_equal. apply dot_ext; intros; unfold plus; ring. Qed.

Lemma after_pos i : (i < n)%nat -> 0 < norm d (plus W Delta i).
Proof.
  intros Hi. destruct (norm_nonneg d (plus W Delta i)) as [H | H]; [ exact H | exfalso ].
  pose proof (norm_change d (W i) (plus W Delta i)) as E. rewrite change_norm, <- H in E.
  pose proof (cs d (W i) (plus W Delta i)) as C. rewrite <- (norm_sq d (plus W Delta i)), <- H in C.
  assert (Z : dot d (W i) (plus W Delta i) = 0) by nra. rewrite Z in E.
  pose proof (r_le i Hi). pose proof (rows i Hi). nra.
Qed.

Lemma turns i : (i < n)%nat -> 0 <= delta W Delta i < PI / 2 /\ delta W Delta i * a i <= k * r i.
Proof.
  intros Hi. pose proof x_range as X. pose proof (r_le i Hi) as R. pose proof (rows i Hi) as Hm.
  rewrite <- change_norm. apply turn_bound; [ now apply a_pos | now apply after_pos | exact X | ].
  rewrite change_norm. apply Rle_trans with (rho / m * m); [ | apply Rmult_le_compat_l; lra ].
  replace (rho / m * m) with rho by (field; lra). lra.
Qed.

Lemma turn_le i : (i < n)%nat -> delta W Delta i <= k * (r i * / a i).
Proof.
  intros Hi. pose proof (proj2 (turns i Hi)) as H. pose proof (a_pos i Hi) as Ha.
  apply (Rmult_le_reg_r (a i)); [ exact Ha | ].
  replace (k * (r i * / a i) * a i) with (k * r i) by (field; lra). exact H.
Qed.

Lemma psi_le_phi i j : (i < n)%nat -> (j < n)%nat -> i <> j -> psi W (k * rho) i j <= phi W Delta i j.
Proof.
  intros Hi Hj Hij. unfold definitions.psi, definitions.phi.
  pose proof (turn_le i Hi) as Ti. pose proof (turn_le j Hj) as Tj. fold (a i) (a j).
  pose proof (a_pos i Hi) as Ai. pose proof (a_pos j Hj) as Aj.
  set (S := / a i ^ 2 + / a j ^ 2).
  assert (HS : r i * / a i + r j * / a j <= rho * sqrt S).
  { apply Rsqr_incr_0_var; [ | apply Rmult_le_pos; [ lra | apply sqrt_pos ] ]. unfold Rsqr.
    replace (rho * sqrt S * (rho * sqrt S)) with (rho * rho * (sqrt S * sqrt S)) by ring.
    assert (HI : / a i * / a i + / a j * / a j = S) by (unfold S; field; lra).
    rewrite sqrt_sqrt by (rewrite <- HI; pose proof (Rle_0_sqr (/ a i)); pose proof (Rle_0_sqr (/ a j));
      unfold Rsqr in *; lra).
    pose proof (two_terms_le_sum n (fun i => r i * r i) i j (fun i _ => Rle_0_sqr (r i)) Hi Hj Hij) as T.
    cbv beta in T.
    pose proof squares as SQ. pose proof (Rle_0_sqr (r i * / a j - r j * / a i)) as R. unfold Rsqr in R.
    apply Rle_trans with ((r i * r i + r j * r j) * S); [ rewrite <- HI; lra | ].
    apply Rmult_le_compat_r; [ | lra ]. rewrite <- HI.
    pose proof (Rle_0_sqr (/ a i)); pose proof (Rle_0_sqr (/ a j)); unfold Rsqr in *; lra. }
  assert (k * (r i * / a i + r j * / a j) <= k * (rho * sqrt S))
    by (apply Rmult_le_compat_l; [ apply k_nonneg | exact HS ]).
  lra.
Qed.

Lemma phi_open i j : (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < phi W Delta i j.
Proof. intros Hi Hj Hij. pose proof (open i j Hi Hj Hij). pose proof (psi_le_phi i j Hi Hj Hij). lra. Qed.

Lemma first_le : Rabs (sum n (fun i => delta W Delta i * dot d (G W i) (tau W Delta i))) <=
  k * K_gradient W * rho.
Proof.
  set (g := fun i => norm d (gradient W i)).
  apply Rle_trans with (sum n (fun i => k * (r i * g i))).
  - eapply Rle_trans; [ apply Rabs_sum | ]. apply sum_le; intros i Hi.
    destruct (turns i Hi) as [T1 T2]. pose proof (a_pos i Hi) as Ha. pose proof PI_RGT_0.
    assert (rows' : forall i, (i < n)%nat -> 0 < norm d (W i) /\ 0 < norm d (plus W Delta i))
      by (intros; split; [ now apply a_pos | now apply after_pos ]).
    destruct (arc_tangent_is n d W Delta rows' i Hi ltac:(lra)) as [_ HT].
    rewrite dot_sym, <- tangent_scaled, dot_sym. set (t := arc_tangent d W Delta i) in *.
    assert (N : norm d t <= 1).
    { unfold norm. rewrite <- sqrt_1. apply sqrt_le_1_alt. destruct HT as [-> | [_ ->]]; lra. }
    rewrite G_dot. fold (a i).
    assert (B : Rabs (dot d (gradient W i) t) <= g i * 1).
    { apply Rle_trans with (g i * norm d t).
      - apply Rabs_le. pose proof (dot_le_norms d (gradient W i) t) as H1.
        fold (g i) in H1. split; [ | exact H1 ].
        assert (H2 : - dot d (gradient W i) t <= g i * norm d t); [ | lra ].
        replace (- dot d (gradient W i) t) with (dot d (fun k => - gradient W i k) t).
        + eapply Rle_trans; [ apply dot_le_norms | right ]. f_equal. unfold g, norm. f_equal.
          apply sum_ext; intros; ring.
        + unfold dot. replace (- sum d (fun k => gradient W i k * t k))
            with (-1 * sum d (fun k => gradient W i k * t k)) by ring.
          rewrite <- sum_scal. apply sum_ext; intros; ring.
      - apply Rmult_le_compat_l; [ apply norm_nonneg | exact N ]. }
    replace (delta W Delta i * (a i * dot d (gradient W i) t))
      with (delta W Delta i * a i * dot d (gradient W i) t) by ring.
    rewrite Rabs_mult, Rabs_right by (apply Rle_ge, Rmult_le_pos; lra).
    replace (k * (r i * g i)) with (k * r i * (g i * 1)) by ring.
    apply Rmult_le_compat; [ apply Rmult_le_pos; lra | apply Rabs_pos | exact T2 | exact B ].
  - rewrite sum_scal.
    apply Rle_trans with (k * (sqrt (sum n (fun i => r i * r i)) * sqrt (sum n (fun i => g i * g i)))).
    + apply Rmult_le_compat_l; [ apply k_nonneg | apply cauchy_schwarz_sqrt ].
    + replace (k * K_gradient W * rho) with (k * (rho * K_gradient W)) by ring.
      apply Rmult_le_compat_l; [ apply k_nonneg | ]. unfold definitions.K_gradient.
      rewrite frobenius_norms. fold g.
      apply Rmult_le_compat_r; [ apply sqrt_pos | ].
      rewrite <- (sqrt_square rho) by lra. apply sqrt_le_1_alt, squares.
Qed.

Lemma second_le :
  / 2 * sum n (fun i => others n i (fun j =>
    q s (phi W Delta i j) * (delta W Delta i + delta W Delta j) ^ 2)) <=
  2 * k ^ 2 * rho ^ 2 * Q W (k * rho).
Proof.
  set (b := fun i j => q s (psi W (k * rho) i j)).
  assert (Hq : forall i j, 0 <= b i j) by (intros; now apply q_nonneg).
  apply Rle_trans with (sum n (fun i => others n i (fun j =>
    b i j * (delta W Delta i * delta W Delta i + delta W Delta j * delta W Delta j)))).
  - rewrite <- sum_scal. apply sum_le; intros i Hi. rewrite <- others_scal. apply others_le; intros j Hj Hij.
    assert (B : q s (phi W Delta i j) <= b i j).
    { apply q_decr; [ exact s_nonneg | now apply open | now apply psi_le_phi | ].
      unfold definitions.phi. pose proof (turns i Hi). pose proof (turns j Hj).
      pose proof (angle_bound d (unit_row d W i) (unit_row d W j)) as A. unfold definitions.theta. lra. }
    set (x := delta W Delta i). set (y := delta W Delta j).
    assert ((x + y) ^ 2 <= 2 * (x * x + y * y))
      by (pose proof (Rle_0_sqr (x - y)) as R; unfold Rsqr in R; simpl; lra).
    assert (0 <= (x + y) ^ 2) by apply pow2_ge_0.
    assert (q s (phi W Delta i j) * (x + y) ^ 2 <= b i j * (2 * (x * x + y * y))).
    { apply Rmult_le_compat; [ now apply q_nonneg | assumption | exact B | assumption ]. }
    lra.
  - rewrite (sum_pairs n b (fun i => delta W Delta i * delta W Delta i)).
    2: { intros i j. unfold b, definitions.psi. rewrite (theta_sym d W i j), Rplus_comm. reflexivity. }
    apply Rle_trans with (sum n (fun i => 2 * k ^ 2 * Q W (k * rho) * (r i * r i))).
    + apply sum_le; intros i Hi. pose proof (turn_le i Hi) as T. pose proof (proj1 (turns i Hi)) as T0.
      pose proof (a_pos i Hi) as Ha. pose proof k_nonneg as Hk. pose proof (r_le i Hi) as R.
      assert (HO : 0 <= others n i (b i)) by (apply others_nonneg; intros; apply Hq).
      assert (HQ : / a i ^ 2 * others n i (b i) <= Q W (k * rho)).
      { apply (le_largest n (fun i =>
          / norm d (W i) ^ 2 * others n i (fun j => q s (psi W (k * rho) i j)))). exact Hi. }
      assert (HT : delta W Delta i * delta W Delta i <= k * (r i * / a i) * (k * (r i * / a i)))
        by (apply Rmult_le_compat; lra).
      apply Rle_trans with (2 * (k * (r i * / a i) * (k * (r i * / a i))) * others n i (b i)).
      * apply Rmult_le_compat_r; lra.
      * replace (2 * (k * (r i * / a i) * (k * (r i * / a i))) * others n i (b i))
          with (2 * k ^ 2 * (r i * r i) * (/ a i ^ 2 * others n i (b i))) by (field; lra).
        replace (2 * k ^ 2 * Q W (k * rho) * (r i * r i)) with (2 * k ^ 2 * (r i * r i) * Q W (k * rho))
          by ring.
        apply Rmult_le_compat_l; [ | exact HQ ]. apply Rmult_le_pos; [ | apply Rle_0_sqr ].
        pose proof (pow2_ge_0 k). lra.
    + rewrite sum_scal. replace (2 * k ^ 2 * rho ^ 2 * Q W (k * rho))
        with (2 * k ^ 2 * Q W (k * rho) * (rho * rho)) by ring.
      apply Rmult_le_compat_l; [ | apply squares ].
      apply Rmult_le_pos; [ pose proof (pow2_ge_0 k); lra | apply largest_nonneg ].
Qed.
End Edit.

(* |ΔHE| ≤ κ K_grad ρ + 2 κ² ρ² Q for every ‖ΔW‖_F ≤ ρ < m ≤ min ‖w_i‖, κ = arcsin(x)/x, x = ρ/m *)
Theorem B10_edit_free (W Delta : matrix) (m rho : R) :
  0 < rho < m -> (forall i, (i < n)%nat -> m <= norm d (W i)) -> frobenius d Delta <= rho ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < psi W (kappa (rho / m) * rho) i j) ->
  Rabs (HE (plus W Delta) - HE W) <=
    kappa (rho / m) * K_gradient W * rho + 2 * kappa (rho / m) ^ 2 * rho ^ 2 * Q W (kappa (rho / m) * rho).
Proof.
  intros size rows small open.
  pose proof (first_le W Delta m rho size rows small) as H1.
  pose proof (second_le W Delta m rho size rows small open) as H2.
  pose proof (B9_remainder n d s s_nonneg W Delta
    (fun i Hi => conj (a_pos W m rho size rows i Hi) (after_pos W Delta m rho size rows small i Hi))
    (phi_open W Delta m rho size rows small open)) as H3.
  set (x := HE (plus W Delta) - HE W) in *. set (y := sum n (fun i => delta W Delta i * _)) in *.
  replace x with ((x - y) + y) by ring. eapply Rle_trans; [ apply Rabs_triang | ]. lra.
Qed.
End EditFree.
