(* B9: the first order of a change of the energy, and a bound of what is left. *)
From Coq Require Import Reals Lra Lia Psatz.
From SphereTheory Require Import definitions sums pair sphere energy.
Open Scope R_scope.

(* ---------- 1. Taylor's remainder on [0, 1] ---------- *)

Lemma taylor_above F F' F'' M : (forall t, 0 <= t <= 1 -> derivable_pt_lim F t (F' t)) ->
  (forall t, 0 <= t <= 1 -> derivable_pt_lim F' t (F'' t)) -> (forall t, 0 <= t <= 1 -> F'' t <= M) ->
  F 1 - F 0 - F' 0 <= / 2 * M.
Proof.
  intros H1 H2 HM.
  assert (S : forall t, 0 <= t <= 1 -> F' t - M * t <= F' 0 - M * 0).
  { intros t Ht. apply (decreasing (fun x => F' x - M * x) (fun x => F'' x - M)); [ lra | | ]; intros c Hc.
    - eapply dl_eq; [ apply dl_minus; [ apply H2; lra | derive ] | cbv beta; ring ].
    - pose proof (HM c ltac:(lra)). lra. }
  assert (H : F 1 - 1 * F' 0 - M / 2 * (1 * 1) <= F 0 - 0 * F' 0 - M / 2 * (0 * 0)).
  { apply (decreasing (fun x => F x - x * F' 0 - M / 2 * (x * x)) (fun x => F' x - F' 0 - M * x));
      [ lra | | ]; intros c Hc.
    - eapply dl_eq.
      + apply dl_minus; [ apply dl_minus; [ apply H1; lra | derive ] | derive ].
      + cbv beta. field.
    - pose proof (S c Hc). lra. }
  lra.
Qed.

Lemma between x M : Rabs x <= M -> - M <= x <= M.
Proof. unfold Rabs. destruct (Rcase_abs x); lra. Qed.

Lemma taylor F F' F'' M : (forall t, 0 <= t <= 1 -> derivable_pt_lim F t (F' t)) ->
  (forall t, 0 <= t <= 1 -> derivable_pt_lim F' t (F'' t)) -> (forall t, 0 <= t <= 1 -> Rabs (F'' t) <= M) ->
  Rabs (F 1 - F 0 - F' 0) <= / 2 * M.
Proof.
  intros H1 H2 HM.
  assert (HB : forall t, 0 <= t <= 1 -> - M <= F'' t <= M) by (intros t Ht; apply between, HM, Ht).
  apply Rabs_le. split.
  - pose proof (taylor_above (fun t => - F t) (fun t => - F' t) (fun t => - F'' t) M) as H.
    assert (- F 1 - - F 0 - - F' 0 <= / 2 * M); [ apply H | lra ]; intros t Ht.
    + apply dl_opp, H1, Ht.
    + apply dl_opp, H2, Ht.
    + pose proof (HB t Ht). lra.
  - apply (taylor_above F F' F''); [ exact H1 | exact H2 | intros t Ht; apply HB, Ht ].
Qed.

(* ---------- 2. the energy of a pair by the cosine of its angle ---------- *)

Section Exponent.
Variable s : R.

Definition by_cosine (c : R) : R :=
  if Req_EM_T s 0 then - / 2 * ln (2 - 2 * c) else Rpower (2 - 2 * c) (- s / 2).

Lemma power_square x p : 0 < x -> Rpower (x * x) p = Rpower x (2 * p).
Proof. intros Hx. unfold Rpower. rewrite ln_mult by assumption. f_equal. ring. Qed.

Lemma by_cosine_potential D c : 0 < D -> D * D = 2 - 2 * c -> by_cosine c = potential s D.
Proof.
  intros HD E. unfold by_cosine, potential. rewrite <- E. destruct (Req_EM_T s 0).
  - rewrite ln_mult by assumption. unfold Rdiv. rewrite Rmult_1_l, ln_Rinv by assumption. field.
  - rewrite power_square by assumption. f_equal. field.
Qed.

Lemma by_cosine_deriv c : 0 < 2 - 2 * c ->
  derivable_pt_lim by_cosine c (factor s / 2 * Rpower (2 - 2 * c) (- s / 2 - 1)).
Proof.
  intros Hc. unfold by_cosine, factor. destruct (Req_EM_T s 0) as [-> | Hs].
  - eapply dl_eq; [ derive; cbv beta; lra | cbv beta ].
    replace (- 0 / 2 - 1) with (- (1)) by field. rewrite Rpower_Ropp, Rpower_1 by lra. field. lra.
  - eapply dl_eq; [ derive; cbv beta; lra | cbv beta; field ].
Qed.

Lemma by_cosine_deriv2 c : 0 < 2 - 2 * c ->
  derivable_pt_lim (fun x => factor s / 2 * Rpower (2 - 2 * x) (- s / 2 - 1)) c
    (factor s / 2 * ((s + 2) * Rpower (2 - 2 * c) (- s / 2 - 2))).
Proof.
  intros Hc. eapply dl_eq; [ derive; cbv beta; lra | cbv beta ].
  replace (- s / 2 - 1 - 1) with (- s / 2 - 2) by ring. field.
Qed.

Hypothesis s_nonneg : 0 <= s.

Lemma q_nonneg x : 0 <= q s x.
Proof.
  unfold q. pose proof (factor_pos s s_nonneg). pose proof (pow2_ge_0 (cos (x / 2))).
  apply Rmult_le_pos; [ apply Rmult_le_pos; [ lra | left; apply exp_pos ] | ].
  assert (0 <= (s + 2) * cos (x / 2) ^ 2) by (apply Rmult_le_pos; lra). lra.
Qed.

Lemma q_decr x y : 0 < x -> x <= y -> y <= PI -> q s y <= q s x.
Proof.
  intros Hx Hxy Hy. unfold q. pose proof (factor_pos s s_nonneg) as Hf.
  pose proof (sin_half_pos x ltac:(lra)) as Sx. pose proof (sin_half_pos y ltac:(lra)) as Sy.
  pose proof (cos_half_nonneg x ltac:(lra)) as Cx. pose proof (cos_half_nonneg y ltac:(lra)) as Cy.
  assert (HS : sin (x / 2) <= sin (y / 2)) by (apply sin_incr_1; lra).
  assert (HC : cos (y / 2) <= cos (x / 2)) by (apply cos_decr_1; lra).
  assert (HP : Rpower (2 * sin (y / 2)) (- s - 2) <= Rpower (2 * sin (x / 2)) (- s - 2)).
  { replace (- s - 2) with (- (s + 2)) by ring. rewrite !Rpower_Ropp.
    apply Rinv_le_contravar; [ apply exp_pos | ]. apply Rle_Rpower_l; lra. }
  assert (HC2 : cos (y / 2) ^ 2 <= cos (x / 2) ^ 2) by (apply pow_incr; lra).
  pose proof (pow2_ge_0 (cos (y / 2))) as Cy2.
  assert ((s + 2) * cos (y / 2) ^ 2 <= (s + 2) * cos (x / 2) ^ 2) by (apply Rmult_le_compat_l; lra).
  assert (0 <= (s + 2) * cos (y / 2) ^ 2) by (apply Rmult_le_pos; lra).
  apply Rmult_le_compat; [ | lra | | lra ].
  - apply Rmult_le_pos; [ lra | left; apply exp_pos ].
  - apply Rmult_le_compat_l; lra.
Qed.

(* the second derivative of the energy of a pair, along a path on which the cosine c moves like c', c'' *)
Lemma second_order x c c1 c2 m : 0 < x <= PI -> c = cos x -> c1 * c1 <= m * m * (1 - c * c) ->
  Rabs c2 <= m * m ->
  Rabs (factor s / 2 * ((s + 2) * Rpower (2 - 2 * c) (- s / 2 - 2)) * c1 * c1 +
        factor s / 2 * Rpower (2 - 2 * c) (- s / 2 - 1) * c2) <= q s x * (m * m).
Proof.
  intros Hx -> H1 H2. pose proof (sin_half_pos x Hx) as HS. pose proof (factor_pos s s_nonneg) as Hf.
  set (D := 2 * sin (x / 2)). assert (HD : 0 < D) by (unfold D; lra).
  pose proof (sin2_cos2 (x / 2)) as P. unfold Rsqr in P.
  assert (Ec : cos x = 1 - 2 * (sin (x / 2) * sin (x / 2))).
  { replace x with (2 * (x / 2)) at 1 by field. rewrite cos_2a_sin. ring. }
  assert (ED : 2 - 2 * cos x = D * D) by (unfold D; rewrite Ec; ring).
  assert (EQ : 1 - cos x * cos x = D * D * cos (x / 2) ^ 2).
  { unfold D. rewrite Ec.
    replace (cos (x / 2) ^ 2) with (1 - sin (x / 2) * sin (x / 2)) by (simpl; lra). ring. }
  rewrite ED, !power_square by assumption.
  replace (2 * (- s / 2 - 1)) with (- s - 2) by field.
  assert (E4 : Rpower D (2 * (- s / 2 - 2)) * (D * D) = Rpower D (- s - 2)).
  { rewrite <- (Rpower_1 D) at 2 3 by assumption. rewrite <- !Rpower_plus. f_equal. field. }
  assert (HP : 0 < Rpower D (- s - 2)) by apply exp_pos.
  assert (HP4 : 0 < Rpower D (2 * (- s / 2 - 2))) by apply exp_pos.
  set (p := Rpower D (- s - 2)) in *. set (p4 := Rpower D (2 * (- s / 2 - 2))) in *.
  assert (A : 0 <= factor s / 2 * ((s + 2) * p4) * (c1 * c1) <=
    factor s / 2 * (s + 2) * p * cos (x / 2) ^ 2 * (m * m)).
  { split.
    - apply Rmult_le_pos; [ | apply Rle_0_sqr ]. apply Rmult_le_pos; [ lra | ]. apply Rmult_le_pos; lra.
    - apply Rle_trans with (factor s / 2 * ((s + 2) * p4) * (m * m * (D * D * cos (x / 2) ^ 2))).
      + apply Rmult_le_compat_l; [ | rewrite <- EQ; exact H1 ].
        apply Rmult_le_pos; [ lra | apply Rmult_le_pos; lra ].
      + right. rewrite <- E4. ring. }
  assert (B : Rabs (factor s / 2 * p * c2) <= factor s / 2 * p * (m * m)).
  { rewrite Rabs_mult, (Rabs_right (factor s / 2 * p)).
    - apply Rmult_le_compat_l; [ apply Rmult_le_pos; lra | exact H2 ].
    - apply Rle_ge, Rmult_le_pos; lra. }
  eapply Rle_trans; [ apply Rabs_triang | ].
  rewrite Rmult_assoc, (Rabs_right (_ * (c1 * c1))) by lra.
  unfold q. fold D p. replace (factor s / 2 * p * (1 + (s + 2) * cos (x / 2) ^ 2) * (m * m))
    with (factor s / 2 * (s + 2) * p * cos (x / 2) ^ 2 * (m * m) + factor s / 2 * p * (m * m)) by ring.
  lra.
Qed.
End Exponent.

(* ---------- 3. two unit vectors that turn at constant speed along great circles ---------- *)

Section Arcs.
Variable d : nat.
Local Notation dot := (dot d).
Local Notation angle := (angle d).
Local Notation chord := (chord d).

(* where u has turned by the angle x towards r, and the direction in which it then moves *)
Definition at_angle (u r : vec) (x : R) : vec := lin (cos x) u (sin x) r.
Definition moving (u r : vec) (x : R) : vec := lin (- sin x) u (cos x) r.

(* r is a unit tangent at u, or u does not turn: a = 0 *)
Definition tangent (a : R) (u r : vec) : Prop := dot u r = 0 /\ (dot r r = 1 \/ (a = 0 /\ dot r r = 0)).

Lemma arc_facts a u r t : dot u u = 1 -> tangent a u r ->
  dot (at_angle u r (t * a)) (at_angle u r (t * a)) = 1 /\
  dot (moving u r (t * a)) (moving u r (t * a)) <= 1 /\
  dot (at_angle u r (t * a)) (moving u r (t * a)) = 0 /\ dot u (at_angle u r (t * a)) = cos (t * a).
Proof.
  intros Hu [Hr Hrr]. pose proof (sin2_cos2 (t * a)) as P. unfold Rsqr in P.
  unfold at_angle, moving. rewrite !dot_lin_l, !dot_lin_r, (dot_sym d r u), Hu, Hr.
  destruct Hrr as [-> | [-> ->]].
  - repeat split; lra.
  - rewrite Rmult_0_r, sin_0, cos_0. repeat split; lra.
Qed.

(* a vector no longer than 1 and orthogonal to the unit vector u sees at most √(1 − ⟨u, v⟩²) of v *)
Lemma bessel u p v : dot u u = 1 -> dot v v = 1 -> dot p p <= 1 -> dot u p = 0 ->
  dot p v * dot p v <= 1 - dot u v * dot u v.
Proof.
  intros Hu Hv Hp Hup. pose proof (cs d p (lin 1 v (- dot u v) u)) as H.
  rewrite !dot_lin_l, !dot_lin_r, (dot_sym d p u), (dot_sym d v u), Hup, Hu, Hv in H.
  assert (0 <= 1 - dot u v * dot u v) by (pose proof (cs d u v) as Q; rewrite Hu, Hv in Q; lra).
  assert (0 <= (1 - dot p p) * (1 - dot u v * dot u v)) by (apply Rmult_le_pos; lra).
  lra.
Qed.

Variables (s a b : R) (u v r w : vec).
Hypothesis s_nonneg : 0 <= s.
Hypothesis Hu : dot u u = 1.
Hypothesis Hv : dot v v = 1.
Hypothesis Ha : 0 <= a <= PI.
Hypothesis Hb : 0 <= b <= PI.
Hypothesis Hr : tangent a u r.
Hypothesis Hw : tangent b v w.

Let U t := at_angle u r (t * a).
Let V t := at_angle v w (t * b).
Let P t := moving u r (t * a).
Let Q t := moving v w (t * b).
Let c t := dot (U t) (V t).
Let c1 t := a * dot (P t) (V t) + b * dot (U t) (Q t).
Let c2 t := - (a * a + b * b) * dot (U t) (V t) + 2 * (a * b) * dot (P t) (Q t).

Ltac expand := unfold c, c1, c2, U, V, P, Q, at_angle, moving; rewrite ?dot_lin_l, ?dot_lin_r.

Lemma c_deriv t : derivable_pt_lim c t (c1 t).
Proof.
  apply (derivable_pt_lim_ext (fun x => cos (x * a) * (cos (x * b) * dot u v + sin (x * b) * dot u w) +
    sin (x * a) * (cos (x * b) * dot r v + sin (x * b) * dot r w))).
  - intros x. expand. ring.
  - eapply dl_eq; [ derive | cbv beta; expand; ring ].
Qed.

Lemma c1_deriv t : derivable_pt_lim c1 t (c2 t).
Proof.
  apply (derivable_pt_lim_ext (fun x =>
    a * (- sin (x * a) * (cos (x * b) * dot u v + sin (x * b) * dot u w) +
         cos (x * a) * (cos (x * b) * dot r v + sin (x * b) * dot r w)) +
    b * (cos (x * a) * (- sin (x * b) * dot u v + cos (x * b) * dot u w) +
         sin (x * a) * (- sin (x * b) * dot r v + cos (x * b) * dot r w)))).
  - intros x. expand. ring.
  - eapply dl_eq; [ derive | cbv beta; expand; ring ].
Qed.

Lemma c1_bound t : c1 t * c1 t <= (a + b) * (a + b) * (1 - c t * c t).
Proof.
  destruct (arc_facts a u r t Hu Hr) as [HU [HP [HUP _]]].
  destruct (arc_facts b v w t Hv Hw) as [HV [HQ [HVQ _]]].
  fold (U t) (P t) in HU, HP, HUP. fold (V t) (Q t) in HV, HQ, HVQ.
  pose proof (bessel (U t) (P t) (V t) HU HV HP HUP) as B1.
  pose proof (bessel (V t) (Q t) (U t) HV HU HQ HVQ) as B2.
  rewrite (dot_sym d (Q t)), (dot_sym d (V t)) in B2.
  unfold c1. fold (c t) in *. set (x := dot (P t) (V t)) in *. set (y := dot (U t) (Q t)) in *.
  set (m := 1 - c t * c t) in *.
  assert (2 * (x * y) <= 2 * m) by (pose proof (Rle_0_sqr (x - y)) as R; unfold Rsqr in R; lra).
  assert (0 <= a * b) by (apply Rmult_le_pos; lra).
  assert (a * a * (x * x) <= a * a * m) by (apply Rmult_le_compat_l; [ apply Rle_0_sqr | exact B1 ]).
  assert (b * b * (y * y) <= b * b * m) by (apply Rmult_le_compat_l; [ apply Rle_0_sqr | exact B2 ]).
  assert (a * b * (2 * (x * y)) <= a * b * (2 * m)) by (apply Rmult_le_compat_l; assumption).
  lra.
Qed.

Lemma c2_bound t : Rabs (c2 t) <= (a + b) * (a + b).
Proof.
  destruct (arc_facts a u r t Hu Hr) as [HU [HP _]]. destruct (arc_facts b v w t Hv Hw) as [HV [HQ _]].
  fold (U t) in HU. fold (P t) in HP. fold (V t) in HV. fold (Q t) in HQ.
  assert (H1 : -1 <= dot (U t) (V t) <= 1) by now apply unit_range.
  assert (H2 : dot (P t) (Q t) * dot (P t) (Q t) <= 1).
  { eapply Rle_trans; [ apply cs | ]. rewrite <- (Rmult_1_r 1).
    apply Rmult_le_compat; assumption || apply dot_nonneg. }
  assert (H3 : -1 <= dot (P t) (Q t) <= 1) by (split; nra).
  unfold c2. set (x := dot (U t) (V t)) in *. set (y := dot (P t) (Q t)) in *.
  assert (0 <= a * b) by (apply Rmult_le_pos; lra).
  assert (0 <= a * a + b * b) by (pose proof (Rle_0_sqr a); pose proof (Rle_0_sqr b); unfold Rsqr in *; lra).
  assert ((a * a + b * b) * x <= (a * a + b * b) * 1) by (apply Rmult_le_compat_l; lra).
  assert ((a * a + b * b) * - x <= (a * a + b * b) * 1) by (apply Rmult_le_compat_l; lra).
  assert (a * b * y <= a * b * 1) by (apply Rmult_le_compat_l; lra).
  assert (a * b * - y <= a * b * 1) by (apply Rmult_le_compat_l; lra).
  apply Rabs_le. split; lra.
Qed.

Hypothesis open : 0 < angle u v - a - b.

(* the angle of the pair stays above φ = θ − a − b *)
Lemma stays_open t : 0 <= t <= 1 -> angle u v - a - b <= angle (U t) (V t) <= PI.
Proof.
  intros Ht. split; [ | apply angle_bound ].
  destruct (arc_facts a u r t Hu Hr) as [HU [_ [_ HuU]]].
  destruct (arc_facts b v w t Hv Hw) as [HV [_ [_ HvV]]].
  fold (U t) in HU, HuU. fold (V t) in HV, HvV.
  pose proof (angle_moves d u v (U t) (V t) Hu Hv HU HV) as H.
  assert (ta : 0 <= t * a <= 1 * a) by (split; [ apply Rmult_le_pos | apply Rmult_le_compat_r ]; lra).
  assert (tb : 0 <= t * b <= 1 * b) by (split; [ apply Rmult_le_pos | apply Rmult_le_compat_r ]; lra).
  unfold angle at 3 4 in H. unfold definitions.angle in H.
  rewrite HuU, HvV, !acos_cos in H by lra. unfold definitions.angle. lra.
Qed.

Lemma pair_remainder : Rabs (by_cosine s (c 1) - by_cosine s (c 0) -
    factor s / 2 * Rpower (2 - 2 * c 0) (- s / 2 - 1) * c1 0) <=
  / 2 * (q s (angle u v - a - b) * ((a + b) * (a + b))).
Proof.
  assert (HO : forall t, 0 <= t <= 1 ->
    0 < angle (U t) (V t) <= PI /\ c t = cos (angle (U t) (V t)) /\ 0 < 2 - 2 * c t).
  { intros t Ht. pose proof (stays_open t Ht) as [H1 H2].
    assert (E : c t = cos (angle (U t) (V t))).
    { unfold definitions.angle. rewrite cos_acos; [ reflexivity | ].
      apply unit_range; [ apply (arc_facts a u r t Hu Hr) | apply (arc_facts b v w t Hv Hw) ]. }
    repeat split; try lra. rewrite E.
    pose proof (cos_decreasing_1 0 (angle (U t) (V t)) ltac:(lra) ltac:(pose proof PI_RGT_0;
      lra) ltac:(lra) ltac:(lra)
      ltac:(lra)) as Hc.
    rewrite cos_0 in Hc. lra. }
  apply (taylor (fun t => by_cosine s (c t))
    (fun t => factor s / 2 * Rpower (2 - 2 * c t) (- s / 2 - 1) * c1 t)
    (fun t => factor s / 2 * ((s + 2) * Rpower (2 - 2 * c t) (- s / 2 - 2)) * c1 t * c1 t +
              factor s / 2 * Rpower (2 - 2 * c t) (- s / 2 - 1) * c2 t)); intros t Ht;
    destruct (HO t Ht) as [HA [HC HP]].
  - apply (derivable_pt_lim_comp c (by_cosine s)); [ apply c_deriv | now apply by_cosine_deriv ].
  - apply (dl_mult (fun x => factor s / 2 * Rpower (2 - 2 * c x) (- s / 2 - 1)) c1); [ | apply c1_deriv ].
    apply (derivable_pt_lim_comp c (fun x => factor s / 2 * Rpower (2 - 2 * x) (- s / 2 - 1)));
      [ apply c_deriv | now apply by_cosine_deriv2 ].
  - eapply Rle_trans.
    + apply (second_order s s_nonneg (angle (U t) (V t)) _ _ _ (a + b) HA HC);
        [ apply c1_bound | apply c2_bound ].
    + apply Rmult_le_compat_r; [ apply Rle_0_sqr | ]. pose proof (stays_open t Ht).
      apply q_decr; lra.
Qed.
End Arcs.

(* ---------- 4. the theorem ---------- *)

Section Enclosure.
Variables (n d : nat) (s : R).
Local Notation unit_row := (unit_row d).
Local Notation theta := (theta d).
Local Notation delta := (delta d).
Local Notation D := (D d).
Local Notation HE := (HE n d s).
Local Notation G := (G n d s).
Local Notation tau := (tau d).
Local Notation phi := (phi d).

Hypothesis s_nonneg : 0 <= s.

Section Edit.
Variables W Delta : matrix.
Hypothesis rows : forall i, (i < n)%nat -> 0 < norm d (W i) /\ 0 < norm d (plus W Delta i).
Hypothesis open : forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < phi W Delta i j.

Let u i := unit_row W i.
Let v i := unit_row (plus W Delta) i.

Lemma u_unit i : (i < n)%nat -> dot d (u i) (u i) = 1.
Proof. intros Hi. now apply direction_unit, rows. Qed.
Lemma v_unit i : (i < n)%nat -> dot d (v i) (v i) = 1.
Proof. intros Hi. now apply direction_unit, rows. Qed.
Lemma delta_range i : 0 <= delta W Delta i <= PI.
Proof. apply angle_bound. Qed.

(* the tangent, and 0 where the neuron does not turn *)
Definition arc_tangent i : vec := if Req_EM_T (delta W Delta i) 0 then fun _ => 0 else tau W Delta i.

Lemma cos_delta i : (i < n)%nat -> dot d (u i) (v i) = cos (delta W Delta i).
Proof. intros Hi. symmetry. apply cos_acos, unit_range; [ now apply u_unit | now apply v_unit ]. Qed.

Lemma tau_lin i : sin (delta W Delta i) <> 0 ->
  forall k, tau W Delta i k =
    lin (/ sin (delta W Delta i)) (v i) (- cos (delta W Delta i) / sin (delta W Delta i)) (u i) k.
Proof. intros H k. unfold definitions.tau, lin, u, v. field. exact H. Qed.

Lemma sin_delta i : delta W Delta i < PI -> delta W Delta i <> 0 -> 0 < sin (delta W Delta i).
Proof. intros H1 H2. pose proof (delta_range i). apply sin_gt_0; lra. Qed.

Lemma arc_tangent_is i : (i < n)%nat -> delta W Delta i < PI ->
  tangent d (delta W Delta i) (u i) (arc_tangent i).
Proof.
  intros Hi Hlt. unfold arc_tangent. destruct (Req_EM_T (delta W Delta i) 0) as [Z | NZ].
  - split; [ apply dot_zero_r | right; split; [ exact Z | apply dot_zero_r ] ].
  - pose proof (sin_delta i Hlt NZ) as HS. pose proof (sin2_cos2 (delta W Delta i)) as P. unfold Rsqr in P.
    assert (E : forall w, dot d w (tau W Delta i) =
      dot d w (lin (/ sin (delta W Delta i)) (v i) (- cos (delta W Delta i) / sin (delta W Delta i)) (u i))).
    { intros w. apply dot_ext; [ reflexivity | apply tau_lin; lra ]. }
    split; [ | left ].
    + rewrite E, dot_lin_r, cos_delta, u_unit by assumption. field. lra.
    + rewrite E, dot_sym, E, !dot_lin_l, !dot_lin_r, v_unit, u_unit, (dot_sym d (v i)), cos_delta
        by assumption.
      set (S := sin (delta W Delta i)) in *. set (C := cos (delta W Delta i)) in *.
      apply (Rmult_eq_reg_r (S * S)); [ | nra ]. field_simplify; [ | lra ]. simpl. lra.
Qed.

(* the arc ends at the edited neuron *)
Lemma arc_ends i w : (i < n)%nat -> delta W Delta i < PI ->
  dot d (at_angle (u i) (arc_tangent i) (delta W Delta i)) w = dot d (v i) w.
Proof.
  intros Hi Hlt. unfold arc_tangent. destruct (Req_EM_T (delta W Delta i) 0) as [Z | NZ].
  - (* δ = 0: ‖û − û'‖² = 2 − 2 cos 0 = 0, so that every entry agrees *)
    pose proof (chord_sq d (u i) (v i) (u_unit i Hi) (v_unit i Hi)) as Q.
    rewrite cos_delta, Z, cos_0 in Q by exact Hi.
    unfold chord in Q. rewrite norm_sq in Q.
    unfold at_angle. rewrite dot_lin_l, Z, cos_0, sin_0. unfold dot. rewrite Rmult_0_l, Rplus_0_r, Rmult_1_l.
    apply sum_ext; intros k Hk. f_equal.
    assert (T : (u i k - v i k) * (u i k - v i k) <= 0).
    { replace 0 with (dot d (fun k => u i k - v i k) (fun k => u i k - v i k)) by lra.
      apply (term_le_sum d (fun k => (u i k - v i k) * (u i k - v i k)) k);
        [ intros; apply Rle_0_sqr | exact Hk ]. }
    nra.
  - pose proof (sin_delta i Hlt NZ) as HS.
    apply dot_ext; [ | reflexivity ]. intros k. unfold at_angle, lin, definitions.tau. fold (u i) (v i).
    field. lra.
Qed.

(* what the arcs have of the first order, for one ordered pair *)
Definition slope i j : R := factor s / 2 * Rpower (D W i j) (- s - 2).
Definition first i j : R := delta W Delta i * (slope i j * dot d (tau W Delta i) (u j)).

Lemma tangent_scaled i w :
  delta W Delta i * dot d (arc_tangent i) w = delta W Delta i * dot d (tau W Delta i) w.
Proof. unfold arc_tangent. destruct (Req_EM_T (delta W Delta i) 0) as [-> | _]; ring. Qed.

Lemma narrow i j : (i < n)%nat -> (j < n)%nat -> i <> j ->
  delta W Delta i + delta W Delta j < theta W i j /\ theta W i j <= PI.
Proof.
  intros Hi Hj Hij. pose proof (open i j Hi Hj Hij) as H. unfold definitions.phi in H.
  split; [ lra | apply angle_bound ].
Qed.

Lemma D_by_cosine V i j : (i < n)%nat -> (j < n)%nat -> (forall k, (k < n)%nat -> 0 < norm d (V k)) ->
  0 < theta V i j -> 0 < D V i j /\ D V i j * D V i j = 2 - 2 * dot d (unit_row V i) (unit_row V j).
Proof.
  intros Hi Hj HV Ht. split; [ | apply chord_sq; now apply direction_unit, HV ].
  unfold definitions.D. rewrite chord_angle by now apply direction_unit, HV.
  pose proof (angle_bound d (unit_row V i) (unit_row V j)) as B. pose proof (sin_half_pos (theta V i j)) as S.
  unfold definitions.theta in *. specialize (S ltac:(lra)). lra.
Qed.

Lemma theta_after i j : (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < theta (plus W Delta) i j.
Proof.
  intros Hi Hj Hij. destruct (narrow i j Hi Hj Hij) as [H _].
  pose proof (angle_moves d (u i) (u j) (v i) (v j)
    (u_unit i Hi) (u_unit j Hj) (v_unit i Hi) (v_unit j Hj)) as M.
  unfold definitions.theta, definitions.delta, u, v in *. lra.
Qed.

Lemma pair_enclosed i j : (i < n)%nat -> (j < n)%nat -> i <> j ->
  Rabs (potential s (D (plus W Delta) i j) - potential s (D W i j) - (first i j + first j i)) <=
    / 2 * (q s (phi W Delta i j) * (delta W Delta i + delta W Delta j) ^ 2).
Proof.
  intros Hi Hj Hij. destruct (narrow i j Hi Hj Hij) as [HN HP].
  pose proof (delta_range i) as Ri. pose proof (delta_range j) as Rj.
  pose proof (pair_remainder d s _ _ (u i) (u j) (arc_tangent i) (arc_tangent j) s_nonneg
    (u_unit i Hi) (u_unit j Hj)
    (delta_range i) (delta_range j) (arc_tangent_is i Hi ltac:(lra)) (arc_tangent_is j Hj ltac:(lra))
    (open i j Hi Hj Hij)) as H.
  cbv zeta beta in H.
  assert (E0 : forall x,
    at_angle (u x) (arc_tangent x) (0 * delta W Delta x) = lin 1 (u x) 0 (arc_tangent x)).
  { intros x. unfold at_angle. now rewrite Rmult_0_l, cos_0, sin_0. }
  assert (M0 : forall x,
    moving (u x) (arc_tangent x) (0 * delta W Delta x) = lin (- 0) (u x) 1 (arc_tangent x)).
  { intros x. unfold moving. now rewrite Rmult_0_l, cos_0, sin_0. }
  rewrite !E0, !M0, !Rmult_1_l in H. rewrite (arc_ends i) in H by (assumption || lra).
  rewrite (dot_sym d (v i)), (arc_ends j), (dot_sym d (v j)) in H by (assumption || lra).
  rewrite !dot_lin_l, !dot_lin_r in H.
  destruct (D_by_cosine W i j Hi Hj (fun k Hk => proj1 (rows k Hk)) ltac:(lra)) as [D0 Q0].
  destruct (D_by_cosine (plus W Delta) i j Hi Hj (fun k Hk => proj2 (rows k Hk))
    (theta_after i j Hi Hj Hij)) as [D1 Q1].
  fold (u i) (u j) in Q0. fold (v i) (v j) in Q1.
  replace (1 * (1 * dot d (u i) (u j) + 0 * dot d (u i) (arc_tangent j)) +
    0 * (1 * dot d (arc_tangent i) (u j) + 0 * dot d (arc_tangent i) (arc_tangent j)))
      with (dot d (u i) (u j)) in H by ring.
  rewrite (by_cosine_potential s _ _ D0 Q0), (by_cosine_potential s _ _ D1 Q1) in H.
  rewrite <- Q0, power_square in H by exact D0. replace (2 * (- s / 2 - 1)) with (- s - 2) in H by field.
  replace (first i j + first j i) with (factor s / 2 * Rpower (D W i j) (- s - 2) *
    (delta W Delta i * dot d (arc_tangent i) (u j) + delta W Delta j * dot d (u i) (arc_tangent j))).
  - unfold definitions.phi, definitions.theta. fold (u i) (u j).
    replace ((delta W Delta i + delta W Delta j) ^ 2) with
      ((delta W Delta i + delta W Delta j) * (delta W Delta i + delta W Delta j)) by ring.
    eapply Rle_trans; [ right | exact H ]. f_equal. ring.
  - rewrite (dot_sym d (u i)), !tangent_scaled. unfold first, slope.
    rewrite (D_sym d W j i). ring.
Qed.

(* Σ_i δ_i ⟨G_i, τ_i⟩ is the sum of the first orders of the pairs *)
Lemma first_order : sum n (fun i => delta W Delta i * dot d (G W i) (tau W Delta i)) =
  sum n (fun i => others n i (fun j => first i j + first j i)).
Proof.
  transitivity (sum n (fun i => others n i (first i)) + sum n (fun i => others n i (fun j => first j i))).
  2: { rewrite <- sum_plus. apply sum_ext; intros i _. now rewrite <- others_plus. }
  rewrite (others_swap n (fun i j => first j i)), <- sum_plus. apply sum_ext; intros i Hi.
  assert (E : dot d (G W i) (tau W Delta i) = factor s * others n i (fun j =>
    (dot d (tau W Delta i) (u j) - dot d (u i) (u j) * dot d (u i) (tau W Delta i)) *
    Rpower (D W i j) (- s - 2))).
  { pose proof (proj1 (rows i Hi)) as Hw. rewrite G_dot, gradient_dot, <- Rmult_assoc.
    replace (norm d (W i) * (factor s / norm d (W i))) with (factor s) by (field; lra).
    f_equal. apply others_ext; intros j _ _. unfold u. rewrite (dot_sym d (tau W Delta i)). ring. }
  rewrite E, <- !others_scal, <- others_plus. apply others_ext; intros j Hj Hij.
  assert (O : delta W Delta i * dot d (u i) (tau W Delta i) = 0).
  { destruct (narrow i j Hi Hj Hij) as [HN HP]. pose proof (delta_range i). pose proof (delta_range j).
    rewrite dot_sym, <- tangent_scaled, dot_sym. destruct (arc_tangent_is i Hi ltac:(lra)) as [-> _]. ring. }
  unfold first, slope.
  set (p := Rpower (D W i j) (- s - 2)). set (x := dot d (tau W Delta i) (u j)). set (c := dot d (u i) (u j)).
  replace (delta W Delta i * (factor s * ((x - c * dot d (u i) (tau W Delta i)) * p)))
    with (factor s * p * (delta W Delta i * x - c * (delta W Delta i * dot d (u i) (tau W Delta i)))) by ring.
  rewrite O. field.
Qed.
End Edit.

(* |ΔHE − Σ_i δ_i ⟨G_i, τ_i⟩| ≤ ½ Σ_{i≠j} q(φ_ij) (δ_i + δ_j)², if every φ_ij > 0 *)
Theorem B9_remainder (W Delta : matrix) :
  (forall i, (i < n)%nat -> 0 < norm d (W i) /\ 0 < norm d (plus W Delta i)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < phi W Delta i j) ->
  Rabs (HE (plus W Delta) - HE W - sum n (fun i => delta W Delta i * dot d (G W i) (tau W Delta i))) <=
    / 2 * sum n (fun i => others n i (fun j =>
      q s (phi W Delta i j) * (delta W Delta i + delta W Delta j) ^ 2)).
Proof.
  intros rows open. rewrite first_order by assumption. unfold definitions.HE.
  rewrite <- !sum_minus, <- sum_scal.
  eapply Rle_trans; [ apply Rabs_sum | ]. apply sum_le; intros i Hi.
  rewrite <- !others_minus, <- others_scal. eapply Rle_trans; [ apply Rabs_sum | ].
  apply sum_le; intros j Hj. destruct (Nat.eq_dec i j) as [E | Hij]; [ rewrite Rabs_R0; lra | ].
  now apply pair_enclosed.
Qed.
End Enclosure.
